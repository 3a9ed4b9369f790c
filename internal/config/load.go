package config

import (
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"

	"github.com/prodaccess/prodaccess/internal/secret"
)

// Load reads the configuration file at path, or none when path is empty, and the environment (as os.Environ gives it).
// An error is a [Faults] with everything that is wrong; the Config is then of no use.
func Load(path string, environ []string) (Config, error) {
	return loadFile(path, environ, func(Fault) bool { return true })
}

// LoadOnly is Load for a command that needs a few sections, such as "store" for migrate: what is wrong in the others
// does not matter, and they must not be used.
func LoadOnly(path string, environ []string, sections ...string) (Config, error) {
	return loadFile(path, environ, func(f Fault) bool {
		first, _, _ := strings.Cut(f.Key, ".")
		first, _, _ = strings.Cut(first, "[")
		_, known := schema.find(first)
		return !known || slices.Contains(sections, first) // an unknown section may be a needed one, misspelt
	})
}

func loadFile(path string, environ []string, matters func(Fault) bool) (Config, error) {
	r := newReading()
	dir := "."
	if path != "" {
		dir = filepath.Dir(path)
		if !r.readFile(path) {
			return Config{}, r.faults.err()
		}
	}
	return r.finish(dir, environ, matters)
}

// finish makes a Config of what the file said, if nothing that matters is wrong.
func (r *reading) finish(dir string, environ []string, matters func(Fault) bool) (Config, error) {
	r.readEnvironment(environ)
	r.readSecretFiles(schema, r.root, "", dir)
	cfg, err := decode(r.root)
	if err != nil {
		// Everything in the tree has its type already, so this is a mistake of ours. The words of the error may quote a
		// value, and a value may be a secret.
		r.fault("", "the configuration", "cannot be decoded", "Please report this.")
		return Config{}, r.faults.err()
	}
	cfg.fill()
	cfg.Policy.File = resolve(dir, cfg.Policy.File)
	for _, fault := range cfg.Validate() {
		if !r.knows(fault.Key) {
			fault.Where = r.origin[fault.Key]
			r.faults = append(r.faults, fault)
		}
	}
	faults := slices.DeleteFunc(r.faults, func(f Fault) bool { return !matters(f) })
	if len(faults) > 0 {
		return Config{}, faults.err()
	}
	return cfg, nil
}

// knows says whether a key, or what it is part of, has a fault already.
func (r *reading) knows(key string) bool {
	for {
		if r.broken[key] {
			return true
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return false
		}
		key = key[:i]
	}
}

// decode merges the tree over the defaults.
func decode(root tree) (Config, error) {
	v := viper.New()
	setDefaults(v, reflect.ValueOf(defaults()), "")
	if err := v.MergeConfigMap(root); err != nil {
		return Config{}, err
	}
	var cfg Config
	err := v.UnmarshalExact(&cfg, viper.DecodeHook(mapstructure.ComposeDecodeHookFunc(
		secretHook, mapstructure.StringToTimeDurationHookFunc())))
	return cfg, err
}

// setDefaults tells viper every key: one that it does not know it leaves out, however it is set.
func setDefaults(v *viper.Viper, value reflect.Value, path string) {
	for i := range value.NumField() {
		key := join(path, value.Type().Field(i).Tag.Get("mapstructure"))
		switch field := value.Field(i).Interface().(type) {
		case secret.String:
			v.SetDefault(key, field.Reveal())
		case time.Duration:
			v.SetDefault(key, field.String())
		default:
			if value.Field(i).Kind() == reflect.Struct {
				setDefaults(v, value.Field(i), key)
			} else {
				v.SetDefault(key, field)
			}
		}
	}
}

func secretHook(from, to reflect.Type, data any) (any, error) {
	if words, ok := data.(string); ok && to == reflect.TypeFor[secret.String]() && from.Kind() == reflect.String {
		return secret.New(words), nil
	}
	return data, nil
}

// whatRulesSee are the keys of a target that policies look at.
var whatRulesSee = regexp.MustCompile(`^targets(\[\d+\](\.(name|engine|environment))?)?$`)

// LoadTargets reads what policies see of the targets: name, engine and environment. Nothing else of the result may be
// used, and nothing else has to be right: where a policy is checked, secrets and their files usually are not.
func LoadTargets(path string, environ []string) ([]Target, error) {
	cfg, err := loadFile(path, environ, func(f Fault) bool { return f.Key == "" || whatRulesSee.MatchString(f.Key) })
	return cfg.Targets, err
}
