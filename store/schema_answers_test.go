package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prodaccess/prodaccess/approvals"
)

// What the schema promises about answers, taken back or to less, and about what is given because of them.
func TestSchemaRefusesImpossibleAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.file(pending()).Request // Bo took his yes back, Cy's stands
	b.change(r.ID, func(c approvals.Case) approvals.Change { return approve(c, bo) })
	b.change(r.ID, func(c approvals.Case) approvals.Change { return withdraw(c, bo) })
	b.change(r.ID, func(c approvals.Case) approvals.Change {
		c.Request.Reminders, c.Request.Escalated, c.Request.EscalatedAt = 2, 1, noon
		return approvals.Change{Request: c.Request}
	})
	b.change(r.ID, func(c approvals.Case) approvals.Change {
		return approveLess(c, cy, approvals.Less{Duration: time.Minute})
	})
	met := b.file(pending()).Request // to less, by both
	less := approvals.Less{Duration: 10 * time.Minute, Profile: "support"}
	b.change(met.ID, func(c approvals.Case) approvals.Change { return approveLess(c, bo, less) })
	b.change(met.ID, func(c approvals.Case) approvals.Change { return approveLess(c, cy, less) })
	given := func(set string) string {
		change := map[string]string{"id": "'given'", "login": "'pa_x_given'", "request_id": "'" + met.ID + "'", "deadline": "intended_at + interval '10 minutes'", "profile": "'support'"}
		if set == "profile" {
			change["profile"] = "'read-only'"
		} else {
			change["deadline"] = "intended_at + interval '11 minutes'"
		}
		return copyGrant(b.active(noon.Add(time.Hour)).ID, change)
	}
	grant := b.active(noon.Add(time.Hour))
	b.asOwner(`UPDATE grants SET version = version + 1, extensions = 2 WHERE id = '` + grant.ID + `'`)
	request := func(set, id string) string {
		return fmt.Sprintf(`UPDATE requests SET version = version + 1, %s WHERE id = '%s'`, set, id)
	}
	answer := func(set, by, id string) string {
		return fmt.Sprintf(`UPDATE approvals SET %s WHERE by_id = '%s' AND request_id = '%s'`, set, by, id)
	}
	again := func(set, by string) string {
		return fmt.Sprintf(`INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills, less_duration)
			SELECT request_id, requester_id, %s FROM approvals WHERE by_id = '%s' AND request_id = '%s'`, set, by, r.ID)
	}
	b.refuses(map[string]string{
		"requests_less_is_no_longer":                  request(`less_duration = duration + interval '1 second'`, r.ID),
		"requests_less_is_no_longer than nothing":     request(`less_duration = interval '0'`, r.ID),
		"requests_less_names_a_profile":               request(`less_profile = ''`, r.ID),
		"requests_reminders_are_counted":              copyRequest(r.ID, map[string]string{"id": "'another'", "key": "'another'", "reminders": "-1"}),
		"requests_escalated_say_when":                 copyRequest(r.ID, map[string]string{"id": "'another'", "key": "'another'", "escalated": "0"}),
		"requests_escalated_say_when they were":       request(`escalated_at = NULL`, r.ID),
		"requests_sent_is_sent":                       request(`reminders = 1`, r.ID),
		"requests_sent_is_sent to others":             request(`escalated = 0, escalated_at = NULL`, r.ID),
		"requests_agreed_is_kept":                     request(`less_duration = NULL`, met.ID),
		"requests_agreed_is_kept in what it is":       request(`less_profile = 'ddl'`, met.ID),
		"requests_approved_by_enough":                 request(`state = 'approved', approved_at = now()`, r.ID),
		"approvals_only_get_withdrawn":                answer(`verdict = 'no'`, cy.ID, r.ID),
		"approvals_only_get_withdrawn and no more":    answer(`withdrawn_at = now(), reason = 'x'`, cy.ID, r.ID),
		"approvals_only_get_withdrawn once":           answer(`withdrawn_at = now()`, bo.ID, r.ID),
		"approvals_only_get_withdrawn for good":       answer(`withdrawn_at = NULL`, bo.ID, r.ID),
		"approvals_only_get_withdrawn when they are":  answer(`withdrawn_at = NULL`, cy.ID, r.ID),
		"approvals_only_get_withdrawn and keep less":  answer(`withdrawn_at = now(), less_duration = NULL`, cy.ID, r.ID),
		"approvals_withdrawn_while_pending":           answer(`withdrawn_at = now()`, cy.ID, met.ID),
		"approvals_one_per_human":                     again(`by_id, by_name, '', '', 'yes', '', at, fills, NULL`, cy.ID),
		"approvals_one_per_address":                   again(`'U0CY2', by_name, upper(by_email), '', 'yes', '', at, fills, NULL`, cy.ID),
		"approvals_have_a_place":                      `INSERT INTO approvals (request_id, requester_id, place, by_id, by_name, by_email, by_zone, verdict, reason, at, fills) OVERRIDING SYSTEM VALUE SELECT request_id, requester_id, place, 'U0EVE', '', '', '', 'yes', '', at, fills FROM approvals LIMIT 1`,
		"approvals_no_is_final":                       `INSERT INTO approvals (request_id, requester_id, by_id, by_name, by_email, by_zone, verdict, reason, at, fills, withdrawn_at) VALUES ('` + r.ID + `', 'U0ANA', 'U0EVE', '', '', '', 'no', '', now(), '{0}', now())`,
		"approvals_no_is_to_everything":               again(`'U0EVE', '', '', '', 'no', '', at, fills, less_duration`, cy.ID),
		"approvals_less_is_something":                 again(`'U0EVE', '', '', '', 'yes', '', at, fills, interval '0'`, cy.ID),
		"grants_give_what_was_agreed":                 given("profile"),
		"grants_give_what_was_agreed for as long":     given("deadline"),
		"grants_params_are_a_list":                    copyGrant(grant.ID, map[string]string{"id": "'g2'", "login": "'pa_x_g2'", "params": "'{}'"}),
		"grants_params_are_frozen":                    `UPDATE grants SET version = version + 1, params = '[{"name":"x"}]' WHERE id = '` + grant.ID + `'`,
		"grants_extensions_are_counted":               copyGrant(grant.ID, map[string]string{"id": "'g2'", "login": "'pa_x_g2'", "extensions": "-1"}),
		"grants_extensions_only_grow":                 `UPDATE grants SET version = version + 1, extensions = 1 WHERE id = '` + grant.ID + `'`,
		"requests_broken_glass_asks_nobody":           copyRequest(r.ID, map[string]string{"id": "'another'", "key": "'another'", "break_glass": "true"}),
		"requests_broken_glass_asks_nobody ever":      copyRequest(met.ID, map[string]string{"id": "'another'", "key": "'another'", "approved_at": "now()", "break_glass": "true"}),
		"requests_break_glass_is_frozen":              request(`break_glass = true`, r.ID),
		"requests_break_glass_is_frozen when it was ": request(`break_glass = false`, b.broken(ana).Request.ID),
	})
	// What is right beside what is not.
	b.asOwner(copyGrant(grant.ID, map[string]string{
		"id": "'fits'", "login": "'pa_x_fits'", "request_id": "'" + met.ID + "'", "profile": "'support'", "deadline": "intended_at + interval '10 minutes'",
	}))
	b.asOwner(answer(`withdrawn_at = now()`, cy.ID, r.ID))
	b.asOwner(again(`by_id, by_name, by_email, '', 'yes', '', at, fills, NULL`, cy.ID))
}

func TestSchemaRefusesImpossibleReviews(t *testing.T) {
	t.Parallel()
	b := setup(t)
	open, closed := b.broken(ana).Request, b.broken(bo).Request
	b.change(open.ID, func(c approvals.Case) approvals.Change {
		c.Review.Reminders, c.Review.EscalatedAt = 2, noon
		return approvals.Change{Request: c.Request, Review: c.Review}
	})
	b.change(closed.ID, func(c approvals.Case) approvals.Change { return closeReview(c, cy, approvals.Justified) })
	taken := b.broken(cy).Request
	b.asOwner(copyGrant(b.active(noon.Add(time.Hour)).ID, map[string]string{"id": "'taken'", "login": "'pa_x_taken'", "request_id": "'" + taken.ID + "'", "holder_id": "'" + cy.ID + "'"}))
	b.asOwner(`UPDATE grants SET version = version + 1, shown_at = now() WHERE id = 'taken'`)
	// An end that comes sooner is nobody's loss.
	b.asOwner(`UPDATE grants SET version = version + 1, deadline = deadline - interval '1 minute' WHERE id = 'taken'`)
	review := func(set, id string) string {
		return fmt.Sprintf(`UPDATE reviews SET %s WHERE request_id = '%s'`, set, id)
	}
	const byCy = `closed_at = now(), note = 'x', closed_by_id = 'U00CY', closed_by_name = '', closed_by_email = '', closed_by_zone = ''`
	approved := b.file(approvedRequest()).Request
	fresh := func(columns, values string) string {
		return copyRequest(open.ID, map[string]string{"id": "'another'", "key": "'another'", "requester_id": "'U0EVE'"}) +
			`; INSERT INTO reviews (request_id, requester_id, opened_at` + columns + `) VALUES ('another', 'U0EVE', now()` + values + `)`
	}
	b.refuses(map[string]string{
		"grants_broken_glass_is_not_extended":   `UPDATE grants SET version = version + 1, deadline = deadline + interval '1 second' WHERE id = 'taken'`,
		"requests_broken_glass_is_reviewed":     copyRequest(open.ID, map[string]string{"id": "'another'", "key": "'another'"}),
		"reviews_one_open_per_person":           strings.ReplaceAll(fresh(`, due_at`, `, now() + interval '1 day'`), `'U0EVE'`, `'U0ANA'`),
		"reviews_are_due_later":                 `INSERT INTO reviews (request_id, requester_id, opened_at, due_at) SELECT request_id, requester_id, opened_at, opened_at FROM reviews LIMIT 1`,
		"reviews_pkey":                          `INSERT INTO reviews (request_id, requester_id, opened_at, due_at) VALUES ('` + closed.ID + `', 'U00BO', now(), now() + interval '1 day')`,
		"reviews_belong_to_a_request":           `INSERT INTO reviews (request_id, requester_id, opened_at, due_at) VALUES ('` + b.deniedGlass().ID + `', 'U0EVE', now(), now() + interval '1 day')`,
		"reviews_are_of_broken_glass":           `INSERT INTO reviews (request_id, requester_id, opened_at, due_at) VALUES ('` + approved.ID + `', 'U0ANA', now(), now() + interval '1 day')`,
		"reviews_are_of_broken_glass and open":  fresh(`, due_at, closed_at, verdict`, `, now() + interval '1 day', now(), 'unused'`),
		"reviews_reminders_are_counted":         fresh(`, due_at, reminders`, `, now() + interval '1 day', -1`),
		"reviews_verdict_is_known":              review(byCy+`, verdict = 'fine'`, open.ID),
		"reviews_closed_say_how":                review(`closed_at = now()`, open.ID),
		"reviews_closed_say_how and when":       review(`verdict = 'unused'`, open.ID),
		"reviews_closed_by_is_whole":            review(`closed_at = now(), note = 'x', verdict = 'justified', closed_by_id = 'U00CY'`, open.ID),
		"reviews_findings_are_somebodys":        review(`closed_at = now(), note = 'x', verdict = 'justified'`, open.ID),
		"reviews_findings_are_somebodys or not": review(byCy+`, verdict = 'unused'`, open.ID),
		"reviews_findings_are_somebodys closed": review(`note = 'x', closed_by_id = 'U00CY', closed_by_name = '', closed_by_email = '', closed_by_zone = ''`, open.ID),
		"reviews_nobody_closes_their_own":       review(`closed_at = now(), note = 'x', verdict = 'justified', closed_by_id = requester_id, closed_by_name = '', closed_by_email = '', closed_by_zone = ''`, open.ID),
		"reviews_findings_say_why":              review(strings.Replace(byCy, `'x'`, `''`, 1)+`, verdict = 'justified'`, open.ID),
		"reviews_only_go_forward":               review(`reminders = 1`, open.ID),
		"reviews_only_go_forward escalated":     review(`escalated_at = NULL`, open.ID),
		"reviews_only_go_forward closed":        review(`closed_at = NULL, verdict = NULL, closed_by_id = NULL, closed_by_name = NULL, closed_by_email = NULL, closed_by_zone = NULL`, closed.ID),
		"reviews_only_go_forward changed":       review(`verdict = 'not-justified'`, closed.ID),
		"reviews_origin_is_frozen":              review(`due_at = due_at + interval '1 hour'`, open.ID),
		"reviews_origin_is_frozen as to when":   review(`opened_at = now()`, open.ID),
		"reviews_close_over_what_is_over":       review(strings.Replace(byCy, `U00CY`, `U00BO`, 1)+`, verdict = 'justified'`, taken.ID),
		"reviews_unused_were_not_taken":         review(`closed_at = now(), verdict = 'unused'`, taken.ID),
	})
	b.asOwner(review(`closed_at = now(), verdict = 'unused'`, open.ID))
}
