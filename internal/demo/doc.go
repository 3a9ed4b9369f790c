// Package demo plays prodaccess's story in a terminal, on the stage of package stage: what each person types, presses and
// sees, a real session that reads, is refused a write and is cut off at the deadline, and the proof that it is over.
// Nothing in it is a recording: every line printed is what the running parts said. The same stage can be played in a
// browser: the package adds to the workspace's page what the database has, and a tour.
package demo
