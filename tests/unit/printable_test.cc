#include "runtime/printable.h"

#include "tests/support/catch.h"

using namespace nsrun;

TEST_CASE("what a peer says is shown as one line without escape sequences") {
  CHECK(printable("bind: address already in use") == "bind: address already in use");
  CHECK(printable("\x1b[2Jgone\r\nnsrun: forged\tline\x7f") == "?[2Jgone??nsrun: forged?line?");
  CHECK(printable(std::string_view("a\0b", 3)) == "a?b");
  CHECK(printable("") == "");
}

TEST_CASE("names of all languages are shown, and what is not UTF-8 is not") {
  CHECK(printable("Grüße, 世界 🙂") == "Grüße, 世界 🙂");
  // C1, as one character and as a byte; right to left; the end of a line.
  CHECK(printable("\xc2\x9b"
                  "31m") == "?31m");
  CHECK(printable("\x9b"
                  "31m") == "?31m");
  CHECK(printable("\xe2\x80\xae"
                  "txt.exe") == "?txt.exe");
  CHECK(printable("one\xe2\x80\xa8two") == "one?two");
  // Cut short, overlong, a surrogate, beyond Unicode.
  CHECK(printable("\xe4\xb8") == "??");
  CHECK(printable("\xc0\x8a") == "??");
  CHECK(printable("\xe0\x80\x8a") == "???");
  CHECK(printable("\xed\xa0\x80") == "???");
  CHECK(printable("\xf4\x90\x80\x80") == "????");
}
