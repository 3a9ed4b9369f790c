package demo

import "github.com/prodaccess/prodaccess/sandbox"

// tour walks a newcomer through request, approval, use and expiry. lasts is for how long the access of the tour is good.
func tour(lasts string) sandbox.Tour {
	request := "/prodaccess orders-prod read-only " + lasts + " INC-123 checkout is failing for customer 2"
	return sandbox.Tour{
		Title: "New here?",
		About: "See access asked for, approved, used and taken back, with real databases behind it. It takes about two minutes, and you press every button.",
		Steps: []sandbox.Step{
			{
				Person: "cy", Place: "general", Title: "What is not allowed ends here",
				Text: "*cy* is a contractor. The policy says that contractors never write, so this is refused, with the reason.",
				Type: "/prodaccess orders-prod data-fix 30m INC-122 correct an address",
				Until: []sandbox.Sight{
					{Message: "contractors never write"},
				},
			},
			{
				Person: "bo", Place: "general", Title: "Ask for access",
				Text:  "Checkout is failing, and *bo* has to look at production. One line says where, what, for how long and why; `/prodaccess` alone opens a form.",
				Type:  request,
				Until: []sandbox.Sight{{Message: "INC-123"}},
			},
			{
				Person: "dora", Place: "approvals", Title: "Somebody else agrees",
				Text:  "*dora* is a DBA. The card says who asks for what, and why she is asked. bo sees the same card, but nobody approves their own request.",
				Press: "Approve",
				Until: []sandbox.Sight{{Person: "bo", Message: "Get credentials"}},
			},
			{
				Person: "bo", Place: "app", Title: "Take the credential",
				Text:  "Until now nothing exists in the database: see its pane. The login is made when *bo* presses, and the clock starts.",
				Press: "Get credentials",
				Until: []sandbox.Sight{{View: "postgresql://"}},
			},
			{
				Person: "bo", Title: "Use it",
				Text:  "The window is the only place the password ever appears. The button opens a session with it and reads. Watch the login and its session in the database.",
				Press: readOrders,
				Until: []sandbox.Sight{{Output: "desk"}, {Output: "FATAL"}, {Output: "over"}},
			},
			{
				Person: "bo", Title: "It can do what was asked for, and no more",
				Text:  "Read-only means so: the database itself refuses.",
				Press: writeOrders,
				Until: []sandbox.Sight{{Output: "denied"}, {Output: "FATAL"}, {Output: "over"}},
			},
			{
				Person: "bo", Place: "app", Title: "The deadline comes",
				Text:  "Nobody has to do anything, and the session is still open. When the time is up the login is locked, its session ended, the login dropped. Close the window and wait.",
				Press: "Close",
				Until: []sandbox.Sight{{Message: "Verified"}},
			},
			{
				Person: "bo", Title: "It is over",
				Text:  "The receipt says what prodaccess read back from the database. Try the same session again.",
				Press: readOrders,
				Until: []sandbox.Sight{{Output: "FATAL"}, {Output: "over"}},
			},
			{
				Person: "sam", Place: "audit", Title: "And anyone can prove it",
				Text:  "*sam* is in security. Every step is in the audit log, and the log can prove that it was not changed.",
				Press: auditVerify,
				Until: []sandbox.Sight{{Output: "whole"}},
			},
		},
	}
}
