package i18n

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func in(l Lang) context.Context { return WithLang(context.Background(), l) }

func TestMatch(t *testing.T) {
	tests := []struct {
		name, target, cookie, accept string
		want                         Lang
	}{
		{"nothing said: English", "/", "", "", English},
		{"the browser's language", "/", "", "es-MX,es;q=0.9,en;q=0.8", Spanish},
		{"the browser's second language, when the first is unknown", "/", "", "fr, es;q=0.5", Spanish},
		{"an unknown language: English", "/", "", "fr-FR, de", English},
		{"an unreadable header: English", "/", "", ";;;=,q", English},
		{"the cookie before the browser", "/", "es", "en", Spanish},
		{"an unknown cookie is ignored", "/", "xx", "es", Spanish},
		{"the address before the cookie", "/?lang=en", "es", "es", English},
		{"an unknown address is ignored", "/?lang=<b>", "es", "en", Spanish},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", test.target, nil)
			if test.cookie != "" {
				r.Header.Set("Cookie", CookieName+"="+test.cookie)
			}
			r.Header.Set("Accept-Language", test.accept)
			if got := Match(r); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestFromContext_withoutLanguageIsEnglish(t *testing.T) {
	if l := FromContext(context.Background()); l != English {
		t.Errorf("got %s", l)
	}
}

func TestParse_readsWhatStringWrites(t *testing.T) {
	for _, l := range Langs() {
		if got, ok := Parse(l.String()); !ok || got != l {
			t.Errorf("%s: got %s, %v", l, got, ok)
		}
	}
	if _, ok := Parse("EN"); ok {
		t.Error("EN was taken for a language")
	}
}

func TestNumber_isAlwaysGrouped(t *testing.T) {
	for _, test := range []struct {
		n      int64
		en, es string
	}{
		{0, "0", "0"}, {7, "7", "7"}, {999, "999", "999"}, {1000, "1,000", "1.000"}, {18427, "18,427", "18.427"},
		{1234567890, "1,234,567,890", "1.234.567.890"}, {-999, "-999", "-999"}, {-100000, "-100,000", "-100.000"},
		{-9223372036854775808, "-9,223,372,036,854,775,808", "-9.223.372.036.854.775.808"},
	} {
		if en, es := Number(in(English), test.n), Number(in(Spanish), test.n); en != test.en || es != test.es {
			t.Errorf("%d: got %q and %q, want %q and %q", test.n, en, es, test.en, test.es)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, test := range []struct {
		part, whole int64
		en, es      string
	}{
		{968, 1000, "96.8\u00a0%", "96,8\u00a0%"}, {0, 0, "0.0\u00a0%", "0,0\u00a0%"}, {5, 5, "100.0\u00a0%", "100,0\u00a0%"},
	} {
		if en, es := Percent(in(English), test.part, test.whole), Percent(in(Spanish), test.part, test.whole); en != test.en || es != test.es {
			t.Errorf("%d of %d: got %q and %q", test.part, test.whole, en, es)
		}
	}
}

func TestT(t *testing.T) {
	tests := []struct {
		name string
		lang Lang
		key  string
		args []any
		want string
	}{
		{"plain", English, "sev.warning", nil, "Warning"},
		{"plain, the other language", Spanish, "sev.warning", nil, "Aviso"},
		{"numbers are grouped", Spanish, "create.source.hint", []any{"Max", 1080}, "Hasta 1.080 caracteres, por ejemplo core-rtr-mad-01. Se sugieren los conocidos."},
		{"texts are taken as they are", English, "mail.next", []any{"Time", "09:41:52"}, "Next attempt at 09:41:52."},
		{"markup is not the catalogue's business", English, "mail.next", []any{"Time", "<b>{{.}}"}, "Next attempt at <b>{{.}}."},
		{"one", English, "kpi.errors", []any{"Count", int64(1)}, "1 error"},
		{"several", English, "kpi.errors", []any{"Count", int64(1403)}, "1,403 errors"},
		{"none", Spanish, "kpi.errors", []any{"Count", 0}, "0 errores"},
		{"Spanish millions take a preposition", Spanish, "kpi.errors", []any{"Count", int64(2000000)}, "2.000.000 de errores"},
		{"an unknown key answers itself", English, "no.such.key", nil, "no.such.key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := T(in(test.lang), test.key, test.args...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Rows are rendered by the thousand: a plain word must not allocate.
func TestT_plainWordsAllocateNothing(t *testing.T) {
	ctx := in(Spanish)
	if n := testing.AllocsPerRun(100, func() { T(ctx, "sev.critical") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNumbers_inBothLanguages(t *testing.T) {
	en, es := in(English), in(Spanish)
	for _, test := range []struct{ name, en, es, wantEN, wantES string }{
		{"decimals", Decimal(en, 1204.56, 1), Decimal(es, 1204.56, 1), "1,204.6", "1.204,6"},
		{"no decimals", Decimal(en, 2.4, 0), Decimal(es, 2.4, 0), "2", "2"},
		{"negative", Decimal(en, -0.5, 1), Decimal(es, -0.5, 1), "\u22120.5", "\u22120,5"},
		{"more", Signed(en, 1262), Signed(es, 1262), "+1,262", "+1.262"},
		{"less", Signed(en, -1355), Signed(es, -1355), "\u22121,355", "\u22121.355"},
		{"as before", Signed(en, 0), Signed(es, 0), "0", "0"},
		{"change", Change(en, 106, 100), Change(es, 88, 100), "+6\u00a0%", "\u221212\u00a0%"},
		{"bytes", Bytes(en, 999), Bytes(es, 1500), "999\u00a0B", "1,5\u00a0kB"},
		{"megabytes", Bytes(en, 412_345_678), Bytes(es, 999_600), "412\u00a0MB", "1,0\u00a0MB"},
		{"milliseconds", Duration(en, 3100*time.Microsecond), Duration(es, 3100*time.Microsecond), "3.1\u00a0ms", "3,1\u00a0ms"},
		{"seconds", Duration(en, 12*time.Second), Duration(es, 1300*time.Millisecond), "12\u00a0s", "1,3\u00a0s"},
		{"no time", Duration(en, 0), Duration(es, 0), "0\u00a0ms", "0\u00a0ms"},
	} {
		if test.en != test.wantEN || test.es != test.wantES {
			t.Errorf("%s: got %q and %q, want %q and %q", test.name, test.en, test.es, test.wantEN, test.wantES)
		}
	}
}
