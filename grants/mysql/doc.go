// Package mysql issues and takes back logins on MariaDB 10.6 and later and MySQL 8.0 and later.
package mysql
