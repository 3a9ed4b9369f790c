package approvals
