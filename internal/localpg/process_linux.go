package localpg

import (
	"os"
	"os/exec"
	"syscall"
)

// confine makes the command run as the account and die with us. The kernel sends the signal when the *thread* that
// started the process ends (prctl(2), PR_SET_PDEATHSIG), so the caller keeps its thread until the process is gone.
// SIGQUIT is Postgres' immediate shutdown: unlike SIGKILL it takes the backends and the shared memory along.
func confine(cmd *exec.Cmd, as *account) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:   true, // a Ctrl-C in the terminal is for us; we stop the server in our own order
		Pdeathsig: syscall.SIGQUIT,
	}
	if as != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
