package wire

import "strings"

// CSVRecord is a record of RFC 4180 with its line end. The standard library's
// writer would change the line ends within a cell.
func CSVRecord(cells []string) string {
	quoted := make([]string, len(cells))
	for i, text := range cells {
		quoted[i] = cell(text)
	}
	return strings.Join(quoted, ",") + "\r\n"
}

// formulaSigns begin what spreadsheets take for a formula.
const formulaSigns = "=+-@\t\r\n"

// cell quotes a text where that is needed, and puts an apostrophe before what
// a spreadsheet would calculate.
func cell(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if text != "" && strings.IndexByte(formulaSigns, text[0]) >= 0 {
		text = "'" + text
	}
	if !strings.ContainsAny(text, "\",\r\n") && strings.TrimSpace(text) == text {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}
