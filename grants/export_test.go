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

// Finds is of how many logins something was found that is not written down yet.
func (s *Service) Finds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.finds)
}
