// Package rowlimit reads the row limits of a policy: conditions such as
//
//	customer_id = :customer_id AND created_at >= '2026-01-01'
//
// A limit was written by the policy's reviewers. It becomes the WHERE clause of a view, once, when a target is prepared;
// a request brings values for its parameters, which are bound to a login and never become part of any text.
//
// [Parse] is no parser of SQL. It knows as much of the lexical rules as it takes to tell, without a mistake, text in
// quotes, names and parameters apart, and refuses what it does not know: comments, escapes, prefixed strings, several
// statements, other tables. What is refused beyond that is a [Dialect]'s. The server has the last word on the rest when
// the view is made.
//
// What was taken stays inside the parentheses it is put into, and changes where a parameter stands and where names are
// quoted, and nowhere else.
package rowlimit
