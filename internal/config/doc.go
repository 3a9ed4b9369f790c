// Package config reads prodaccess's configuration: one YAML file, the environment, and files that hold secrets.
//
// [Load] is the only way in. It promises:
//
//   - Every key can come from the environment: slack.bot_token from PRODACCESS_SLACK_BOT_TOKEN, an entry of a list by its
//     index (PRODACCESS_TARGETS_0_ADMIN_URL), a list of words separated by commas. The environment wins over the file.
//     A variable that begins with PRODACCESS_ and is no key is a fault, except those that Kubernetes makes up and those
//     the project's own scripts use.
//   - Every secret can come from a file: bot_token_file instead of bot_token. One trailing newline is not part of it.
//   - Paths in the configuration are relative to the configuration file.
//   - Reading is strict. An unknown key, a key given twice, a number without a unit where a duration is due, a YAML
//     anchor: each is a fault, never a guess.
//   - All faults are reported at once ([Faults]), each with its key, where it was read, what is wrong and how to mend it.
//     No fault ever quotes a secret.
//   - A returned [Config] is valid and complete: defaults are filled in, secrets are [secret.String], and nothing in it
//     goes to a host other than this one in plain text unless an allow_plaintext key says so.
//
// This is the only package that sees viper.
package config
