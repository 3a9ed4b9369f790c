package grants

// Woken says whether somebody asked the reaper to look at the store at once, and takes the wish away.
func (s *Service) Woken() bool {
	select {
	case <-s.woken:
		return true
	default:
		return false
	}
}
