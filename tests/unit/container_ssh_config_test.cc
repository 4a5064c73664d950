#include <cstdlib>
#include <filesystem>
#include <fstream>
#include "tests/support/catch.h"

#include "container/files/ssh_config.h"

using namespace nsrun;

using Paths = std::vector<std::string>;

TEST_CASE("the Include lines of an ssh configuration are found as ssh reads them") {
  CHECK(ssh_includes("Include /etc/ssh/ssh_config.d/*.conf\n", "/etc/ssh") ==
        Paths{"/etc/ssh/ssh_config.d/*.conf"});
  CHECK(ssh_includes("\tinclude=\"/a b\" c # d\nHost x\n  INCLUDE e", "/etc/ssh") ==
        Paths{"/a b", "/etc/ssh/c", "/etc/ssh/e"});
  CHECK(ssh_includes("# Include /a\nIncluded /b\nHostName include\nInclude\nInclude ~/c\n\"", "/etc/ssh")
            .empty());
}

TEST_CASE("what an ssh configuration includes is followed, and a circle of includes ends") {
  char directory[] = "/tmp/nsrun-ssh-XXXXXX";
  REQUIRE(::mkdtemp(directory));
  const std::string here = directory;
  std::ofstream(here + "/config") << "Include " << here << "/*.conf\n";
  std::ofstream(here + "/1.conf") << "Host *\nInclude deeper\n";
  std::ofstream(here + "/deeper") << "Include config 1.conf\n";
  CHECK(included_ssh_files(here + "/config", here) ==
        Paths{here + "/1.conf", here + "/deeper", here + "/config"});
  CHECK(included_ssh_files(here + "/none", here).empty());
  std::filesystem::remove_all(here);
}
