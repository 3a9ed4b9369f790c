package mysql

import (
	"strconv"
	"strings"

	"github.com/prodaccess/prodaccess/grants"
)

// deadman is the event by which the server itself ends what nobody has ended: see doc.go.
const deadman = ledger + ".deadman"

// deadmanEvery is how often it looks, in seconds.
const deadmanEvery = 10

// deadmanBody is what the event does with each login whose time is over. Nothing in it is quoted twice, so that the server
// shows it as it was given, and a change of it is noticed.
//
// What it locks it marks as over, before and after. Only what is marked may an extension open again: an account that is
// locked without a mark was locked by a person, before the time was over. If an extension came between the two marks, its
// later end is taken back with the lock that it did not see, so that the row never promises what the account does not keep.
//
// Errors are passed over within one login alone. If the ledger cannot be read the event fails, and the server logs it; a
// handler around the walk would swallow what FETCH says about it, again and again, for ever.
func (f flavour) deadmanBody() string {
	lock := "CONCAT('ALTER USER ', QUOTE(name), '@', QUOTE('%'), ' ACCOUNT LOCK')"
	run, end := "EXECUTE IMMEDIATE "+lock+";", " EXECUTE IMMEDIATE CONCAT('KILL USER ', QUOTE(name));"
	if f == mysql {
		run = "SET @prodaccess = " + lock + "; PREPARE prodaccess FROM @prodaccess; EXECUTE prodaccess; DEALLOCATE PREPARE prodaccess;"
		end = " BEGIN DECLARE ended INT DEFAULT 0; DECLARE session BIGINT UNSIGNED;" +
			" DECLARE alive CURSOR FOR SELECT p.ID FROM information_schema.PROCESSLIST p WHERE p.USER = name;" +
			" DECLARE CONTINUE HANDLER FOR NOT FOUND SET ended = 1;" +
			" OPEN alive; ending: LOOP FETCH alive INTO session; IF ended THEN LEAVE ending; END IF;" +
			" BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; KILL session; END; END LOOP; CLOSE alive; END;"
	}
	const due = "FROM prodaccess.logins WHERE state IN ('live', 'over') AND valid_until < UTC_TIMESTAMP(6)"
	locked := "SELECT COUNT(*) INTO held FROM " + f.accounts() + " a WHERE a.account = name AND a.host = '%' AND a.locked;"
	return "BEGIN DECLARE done INT DEFAULT 0; DECLARE name VARCHAR(32) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;" +
		" DECLARE due CURSOR FOR SELECT login " + due + ";" +
		" DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;" +
		" OPEN due; walk: LOOP FETCH due INTO name; IF done THEN LEAVE walk; END IF;" +
		" BEGIN DECLARE held, still INT DEFAULT 0; DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END; " + locked +
		" IF held = 0 THEN" +
		" UPDATE prodaccess.logins SET state = 'over' WHERE login = name AND state = 'live' AND valid_until < UTC_TIMESTAMP(6);" +
		" SELECT COUNT(*) INTO still " + due + " AND login = name;" +
		" IF still = 1 THEN " + run + " " + locked +
		" UPDATE prodaccess.logins SET state = 'over', valid_until = UTC_TIMESTAMP(6) WHERE login = name AND state = 'live' AND held = 1;" +
		" END IF; END IF; END;" +
		" BEGIN DECLARE still INT DEFAULT 0; DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;" +
		" SELECT COUNT(*) INTO still " + due + " AND login = name; IF still = 1 THEN" + end + " END IF; END;" +
		" END LOOP; CLOSE due; END"
}

// event is the dead man's switch: every few seconds the server locks the logins whose time is over, and ends their
// sessions, whether prodaccess is there or not.
func (f flavour) event(admin string) string {
	return "CREATE DEFINER = " + account(admin) + " EVENT IF NOT EXISTS " + deadman + f.schedule()
}

func (f flavour) schedule() string {
	return " ON SCHEDULE EVERY " + strconv.Itoa(deadmanEvery) + " SECOND ON COMPLETION PRESERVE DO " + f.deadmanBody()
}

// event is one of the ledger's, as the server has it.
type event struct {
	status, definer, interval, body string
}

// deadmanSteps make the event, or make it again what it was.
func (c *catalog) deadmanSteps() []grants.PreparationStep {
	is, exists := c.events["deadman"]
	if !exists {
		return []grants.PreparationStep{{Why: "the server itself locks logins whose time is over, should prodaccess be gone", SQL: c.flavour.event(c.admin)}}
	}
	var differs []string
	for _, d := range []struct{ what, is, want string }{
		{"what it does", is.body, c.flavour.deadmanBody()},
		{"how often it runs", is.interval, strconv.Itoa(deadmanEvery) + " SECOND"},
		{"whose rights it runs with", is.definer, c.admin + "@%"},
	} {
		if d.is != d.want {
			differs = append(differs, d.what)
		}
	}
	if len(differs) == 0 {
		return nil
	}
	// Whether it is enabled stays as it is: Check says so, and on a replica it must not be.
	return []grants.PreparationStep{{
		Why: "the event " + deadman + " is not as this version makes it (" + strings.Join(differs, ", ") + "): the server might not lock logins whose time is over",
		SQL: "ALTER DEFINER = " + account(c.admin) + " EVENT " + deadman + c.flavour.schedule(),
	}}
}
