#include "tests/support/catch.h"

#include "container/closed/kernel_files.h"
#include "container/closed/mount_table.h"
#include "container/closed/proc_text.h"
#include "container/closed/socket_directories.h"

using namespace nsrun;

using Paths = std::vector<std::string>;

TEST_CASE("every path that an environment variable mentions is found") {
  CHECK(paths_in_variable("=/tmp/ssh-Xy/agent.7") == Paths{"/tmp/ssh-Xy/agent.7"});
  CHECK(paths_in_variable("=unix:path=/run/user/1000/bus,guid=5e2a") == Paths{"/run/user/1000/bus"});
  CHECK(paths_in_variable("=unix:///run/docker.sock") == Paths{"/run/docker.sock"});
  CHECK(paths_in_variable("=/tmp/tmux-1000/default,7,0") == Paths{"/tmp/tmux-1000/default"});
  CHECK(paths_in_variable("=unix:path=/a;unix:path=/b/c d") == Paths{"/a", "/b/c"});
  CHECK(paths_in_variable("=/usr/bin:/bin:") == Paths{"/usr/bin", "/bin"});
}

TEST_CASE("what mentions no absolute path mentions none") {
  for (const auto* value : {"", "=", "=:0", "=unix:abstract=a/b", "=/", "=//,///"})
    CHECK(paths_in_variable(value).empty());
}

TEST_CASE("a directory holds itself and what is below it, and no namesake") {
  CHECK(holds("/", "/anything"));
  CHECK(holds("/run/user", "/run/user"));
  CHECK(holds("/run/user", "/run/user/1000"));
  CHECK_FALSE(holds("/run/user", "/run/users"));
  CHECK_FALSE(holds("/run/user", "/run"));
}

TEST_CASE("a field of /proc is its line's, without blanks, and the first line is none") {
  const std::string text = "Name:\tUid:\nUid:\t1 2 3 4\nGroups:\t \nPid:\t7\n";
  CHECK(proc_field(text, "Uid") == "1 2 3 4");
  CHECK(proc_field(text, "Groups").empty());
  CHECK(proc_field(text, "Pid") == "7");
  CHECK(proc_field(text, "Name").empty());
  CHECK(proc_field(text, "Gid").empty());
  CHECK(proc_field("a:\nlast: word", "last") == "word");
}

TEST_CASE("mounts are read from mountinfo, with blanks in their paths and fields that may be left out") {
  const auto mounts = parse_mounts(
      "36 35 98:1 /sub\\040volume /mnt/a\\134b rw,noatime master:1 shared:2 - ext4 /dev/root rw\n"
      "no mount\n"
      "40 22 0:37 / /sys/fs/cgroup rw - cgroup2 none rw\n");
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0].root == "/sub volume");
  CHECK(mounts[0].point == "/mnt/a\\b");
  CHECK(mounts[0].device == (98u << 20 | 1));
  CHECK(mounts[1].id == 40);
  CHECK(mounts[1].type == "cgroup2");
}

TEST_CASE("cgroups and FUSE's connections act outside, ordinary file systems do not") {
  for (const auto* type : {"cgroup", "cgroup2", "fusectl"}) CHECK(acts_outside(type));
  for (const auto* type : {"ext4", "tmpfs", "sysfs", "fuse.sshfs", "cgroup3", ""})
    CHECK_FALSE(acts_outside(type));
}
