package mysql

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prodaccess/prodaccess/grants"
)

// The values of a request are rows of prodaccess.bound_values, by login. A view reads those of USER(), which is the name
// its session came in with, whoever owns the view.

var (
	uuidForm    = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	numericForm = regexp.MustCompile(`^[+-]?[0-9]{1,35}(\.[0-9]{1,30})?$`)
)

// kept is a value as it is written down: the one form in which it means the same to the server as to the policy. Neither
// server refuses what is not of a type (CAST('1 OR 1' AS SIGNED) is 1), so that it is done here.
func kept(p grants.Param) (string, error) {
	wrong := fmt.Errorf("the value of %s is not a %s that the database takes", p.Name, p.Type)
	v := p.Value
	if v == "" || len(v) > 1000 || !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
		return "", wrong
	}
	switch p.Type {
	case "bigint", "integer":
		bits := map[string]int{"bigint": 64, "integer": 32}[p.Type]
		n, err := strconv.ParseInt(v, 10, bits)
		if err != nil {
			return "", wrong
		}
		return strconv.FormatInt(n, 10), nil
	case "numeric":
		if !numericForm.MatchString(v) {
			return "", wrong
		}
		return v, nil
	case "uuid":
		if !uuidForm.MatchString(v) {
			return "", wrong
		}
		return strings.ToLower(v), nil
	case "date":
		day, err := time.Parse(time.DateOnly, v)
		if err != nil || day.Year() < 1 {
			return "", wrong
		}
		return v, nil
	case "timestamptz":
		// As seconds since 1970, which is what a TIMESTAMP column holds; MariaDB's end in January 2038.
		at, err := time.Parse(time.RFC3339Nano, v)
		if err != nil || at.Unix() < 1 || at.Unix() > 1<<31-2 {
			return "", wrong
		}
		return fmt.Sprintf("%d.%06d", at.Unix(), at.Nanosecond()/1000), nil
	case "boolean":
		switch v {
		case "true":
			return "1", nil
		case "false":
			return "0", nil
		}
	case "text":
		return v, nil
	}
	return "", wrong
}

// who is the login of the session that reads a view.
const who = "SUBSTRING_INDEX(USER(), '@', 1)"

// value is what stands for a parameter in a view. Text is compared to the letter: in the column's own collation "LAMP"
// could be equal to "lamp ".
func (f flavour) value(p grants.Parameter) string {
	of := func(expression string) string {
		return "(SELECT " + expression + " FROM prodaccess.bound_values v WHERE v.login = " + who + " AND v.name = " + literal(p.Name) + ")"
	}
	exact, anyCase := "utf8mb4_nopad_bin", "utf8mb4_general_nopad_ci"
	if f == mysql {
		exact, anyCase = "utf8mb4_0900_bin", "utf8mb4_0900_ai_ci"
	}
	switch p.Type {
	case "bigint", "integer", "boolean":
		return of("CAST(v.value AS SIGNED)")
	case "numeric":
		return of("CAST(v.value AS DECIMAL(65, 30))")
	case "date":
		return of("CAST(v.value AS DATE)")
	case "timestamptz":
		return of("FROM_UNIXTIME(CAST(v.value AS DECIMAL(20, 6)))")
	case "uuid":
		return "(" + of("v.value") + " COLLATE " + anyCase + ")"
	}
	return "(" + of("v.value") + " COLLATE " + exact + ")"
}

// bound is a condition: the login has a value, be it NULL, for each of the parameters. One that has none sees nothing,
// whatever the row limit makes of NULL.
func bound(uses []grants.Parameter) string {
	names := make([]string, len(uses))
	for i, p := range uses {
		names[i] = literal(p.Name)
	}
	return "(SELECT COUNT(*) FROM prodaccess.bound_values v WHERE v.login = " + who + " AND v.name IN (" + strings.Join(names, ", ") + ")) = " + strconv.Itoa(len(uses))
}

// bind is the statement that writes an order's values down, "" when its profile has no parameters. The values must be
// exactly those that the target was prepared for.
func (d *Driver) bind(ctx context.Context, on runner, order grants.Order) (string, error) {
	rows, err := send(ctx, on, "SELECT name, type, required FROM prodaccess.parameters WHERE access_role = "+literal(order.AccessRole)+" ORDER BY name")
	if err != nil {
		return "", err
	}
	left := slices.Clone(order.Params)
	var lines []string
	for _, row := range rows {
		at := slices.IndexFunc(left, func(p grants.Param) bool { return p.Name == row[0] })
		value := "NULL"
		switch {
		case at < 0 && row[2] == "1":
			return "", fail(grants.FailInternal, "ask again with a value", "the parameter %s is missing", row[0])
		case at >= 0:
			p := left[at]
			left = slices.Delete(left, at, at+1)
			if p.Type != row[1] {
				return "", fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the parameter %s is a %s on the target", p.Name, row[1])
			}
			v, err := kept(p)
			if err != nil {
				return "", fail(grants.FailInternal, "ask again with another value", "%w", err)
			}
			value = text(v)
		}
		lines = append(lines, "("+literal(order.Login)+", "+text(row[0])+", "+value+")")
	}
	if len(left) > 0 {
		return "", fail(grants.FailUnprepared, "run `prodaccess targets apply`", "the target is not prepared for %d of the values, so nothing would enforce them", len(left))
	}
	if len(lines) == 0 {
		return "", nil
	}
	return "INSERT INTO prodaccess.bound_values (login, name, value) VALUES " + strings.Join(lines, ", "), nil
}
