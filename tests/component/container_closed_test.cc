#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <tuple>
#include "tests/support/catch.h"

#include "container/closed/mount_table.h"
#include "container/closed/proc_text.h"
#include "runtime/command.h"
#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"

// What the agent makes of a closed sandbox. tests/e2e/test_side_doors.py and test_unix_doors.py try to get
// out of one.

using namespace nsrun;
using Catch::Contains;

namespace {

AgentOptions closed(const std::string& script) {
  auto options = shell(script);
  options.closed = true;
  return options;
}

AgentOptions closed_as_root(const std::string& script) {
  auto options = closed(script);
  options.command.privileged = true;
  options.ids = single_id_map(true);
  return options;
}

std::string closed_output(const AgentOptions& options) {
  FakeHost host(options);
  host.start_command();
  return host.read_all();
}

// A unix socket that listens at a path of its own.
class Listener {
 public:
  Listener() : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    REQUIRE(::mkdtemp(directory_));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(socket_.get(), 1) == 0);
  }
  ~Listener() {
    ::unlink(path().c_str());
    ::rmdir(directory_);
  }
  std::string path() const { return std::string(directory_) + "/socket"; }

 private:
  char directory_[32] = "/tmp/nsrun-closed-XXXXXX";
  UniqueFd socket_;
};

// A cgroup of one process that sleeps; with an empty path where none can be made here.
class CgroupOutside {
 public:
  CgroupOutside() {
    for (const MountEntry& mount : parse_mounts(proc_text(AT_FDCWD, "/proc/self/mountinfo"))) {
      const auto path = mount.point + "/nsrun-test-" + std::to_string(::getpid());
      if (mount.type == "cgroup2" && ::mkdir(path.c_str(), 0755) == 0) path_ = path;
    }
    sleeper_.argv = {"sleep", "1000"};
    process_ = start(sleeper_).value();
    std::ofstream(path_ + "/cgroup.procs") << process_.pid() << std::flush;
  }
  ~CgroupOutside() {
    process_.kill(SIGKILL);
    process_.wait();
    ::rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }
  std::string name() const { return path_.substr(path_.rfind('/') + 1); }
  bool holds_process() const {
    std::ifstream members(path_ + "/cgroup.procs");
    pid_t member = 0;
    return members >> member && member == process_.pid();
  }

 private:
  std::string path_;
  Command sleeper_;
  Process process_;
};

// With a second /proc at /mnt, as a chroot has one. Ends with 7 if the guest sees processes of outside there.
int host_with_second_proc() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
      ::mount("proc", "/proc", "proc", 0, nullptr) < 0 || ::mount("proc", "/mnt", "proc", 0, nullptr) < 0)
    return 3;
  Command sleeper;
  sleeper.argv = {"sleep", "1000"};
  const auto outside = start(sleeper);
  const auto script =
      "test -e /mnt/self/status || exit 4; grep -q 's[l]eep' /mnt/[0-9]*/cmdline && exit 7; exit 0";
  FakeHost host(closed_as_root(script));
  host.start_command();
  return host.await_exit();
}

// With a /dev that has an endless device by the name of one that leads outside. Ends with 7 if the guest
// reads from it.
int host_with_device() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
      ::mount("tmpfs", "/dev", "tmpfs", 0, nullptr) < 0 || ::mkdir("/dev/net", 0755) < 0)
    return 3;
  const std::tuple<const char*, unsigned, unsigned> devices[] = {
      {"/dev/null", 1, 3}, {"/dev/net/tun", 10, 200}, {"/dev/vhost-vsock", 1, 5}};
  for (const auto& [path, major, minor] : devices)
    if (::mknod(path, S_IFCHR | 0666, makedev(major, minor)) < 0 || ::chmod(path, 0666) < 0) return 3;
  FakeHost host(
      closed("test \"$(head -c 5 /dev/vhost-vsock | wc -c)\" = 0 || exit 7; test -c /dev/vhost-vsock"));
  host.start_command();
  return host.await_exit();
}

}  // namespace

TEST_CASE("a device that speaks to the machine is covered in a closed sandbox") {
  if (skip(why_no_sandbox())) return;
  Command command;
  command.clone_flags = CLONE_NEWNS;
  command.run = host_with_device;
  auto host = start(command);
  if (!host && skip("it takes root")) return;
  const int status = host->wait();
  if (status == 3 && skip("no device can be made here")) return;
  CHECK(status == 0);
}

TEST_CASE("a closed sandbox's processes do not kill, freeze or join outside processes by cgroups") {
  if (skip(why_no_sandbox())) return;
  const CgroupOutside outside;
  if (!outside.holds_process() && skip("no cgroup can be made here")) return;
  const auto script =
      "exec 2>/dev/null; cd " + outside.path() +
      " && for try in 'cgroup.kill 1' 'cgroup.freeze 1' 'cgroup.procs 0' 'cgroup.max.depth 7'; do "
      "set -- $try; echo $2 > $1 && echo wrote $1; done; mkdir made && echo made; "
      "mount -o remount,rw,bind . && echo remounted; echo tried";
  CHECK(closed_output(closed(script)) == "tried\n");
  CHECK(closed_output(closed_as_root(script)) == "tried\n");
  CHECK(outside.holds_process());
}

TEST_CASE("a closed sandbox has no cgroup file system of its own, nor in further namespaces") {
  if (skip(why_no_sandbox())) return;
  const auto script = std::string(
      "exec 2>/dev/null; for kind in cgroup2 'cgroup -o freezer'; do mount -t $kind none /mnt && echo "
      "mounted; "
      "unshare --cgroup mount -t $kind none /mnt && echo mounted; "
      "unshare -Urm --cgroup mount -t $kind none /mnt && echo mounted; done; echo tried");
  CHECK(closed_output(closed(script)) == "tried\n");
  CHECK(closed_output(closed_as_root(script)) == "tried\n");
}

TEST_CASE("another procfs shows a closed sandbox its own processes alone") {
  if (skip(why_no_sandbox())) return;
  Command command;
  command.clone_flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
  command.run = host_with_second_proc;
  auto host = start(command);
  REQUIRE(host.has_value());
  const int status = host->wait();
  if (status == 3 && skip("no further procfs can be mounted here")) return;
  CHECK(status == 0);
}

TEST_CASE("a guarded file is neither written, renamed nor replaced in a closed sandbox, root or not") {
  if (skip(why_no_sandbox())) return;
  char directory[] = "/tmp/nsrun-guarded-XXXXXX";
  REQUIRE(::mkdtemp(directory));
  const std::string file = std::string(directory) + "/policy";
  std::ofstream(file) << "first\n";
  const auto script =
      std::string("exec 2>/dev/null; cd ") + directory +
      "; echo mine > other; echo mine > policy; mv policy away; mv -f other policy; rm -f policy; "
      "ln policy linked; umount policy; mount -o remount,rw,bind policy; echo mine > policy; "
      "mv $PWD $PWD.away; echo mine > $PWD.away/policy; mv $PWD.away $PWD; cat policy; ls";
  auto options = GENERATE(false, true) ? closed_as_root(script) : closed(script);
  options.guarded_files = {file};
  CHECK(closed_output(options) == "first\nother\npolicy\n");
  std::filesystem::remove_all(directory);
}

TEST_CASE("a closed sandbox has processes, a network and shared memory of its own, and its user's ids") {
  if (skip(why_no_sandbox())) return;
  const auto text =
      closed_output(closed("id -u; ls /proc | grep -c '^[0-9]'; ls -A /dev/shm; cat /proc/net/route"));
  CHECK_THAT(text, Catch::StartsWith(std::to_string(::geteuid()) + "\n"));
  CHECK_THAT(text, Contains("tun0\t00000000\t0202000A"));
  CHECK(std::stoi(text.substr(text.find('\n') + 1)) <= 5);  // agent, shell, ls, grep, perhaps a subshell
}

TEST_CASE("root in a closed sandbox has every capability there, and lifts no cover") {
  if (skip(why_no_sandbox())) return;
  CHECK(closed_output(
            closed_as_root("exec 2>/dev/null; mount -t tmpfs none /mnt && umount /mnt && echo mounts; "
                           "umount /dev/shm || umount -l /dev/shm || echo locked; "
                           "umount -l /etc/resolv.conf || echo locked; umount -l /proc || echo locked")) ==
        "mounts\nlocked\nlocked\nlocked\n");
}

// No program here may look up a name: nobody answers its connect to nscd. ("+5" is no name to chown.)
TEST_CASE("with subordinate ranges a closed sandbox's guest can be other users too") {
  if (skip(why_no_sandbox()) || skip(why_no_newuidmap())) return;
  const auto ids = full_id_map(true);
  if (!ids && skip(ids.error().message())) return;
  auto options = closed_as_root("cd /tmp; f=$(mktemp) && chown +5:+6 $f && stat -c '%u %g' $f; rm $f; id -u");
  options.ids = *ids;
  CHECK(closed_output(options) == "5 6\n0\n");
}

TEST_CASE("a unix socket of outside is covered, unless it is allowed") {
  if (skip(why_no_sandbox())) return;
  const Listener listener;
  auto options = closed("test -S " + listener.path() + " && echo there");
  CHECK(closed_output(options).empty());
  options.allowed_unix = {listener.path()};
  CHECK(closed_output(options) == "there\n");
  options.allowed_unix = {"*"};
  CHECK(closed_output(options) == "there\n");
}

// No program here may look up a name: nobody answers its connect to nscd.
TEST_CASE("nothing in a closed sandbox sets limits, priorities or processors of the agent, root neither") {
  if (skip(why_no_sandbox())) return;
  const std::string script =
      "exec 2>/dev/null; for try in 'prlimit --pid 1 --nofile=2' 'prlimit --pid 1 --cpu=1:1' 'renice -n 19 "
      "-p 1' "
      "'python3 -IS -c __import__(\"os\").setpriority(2,0,19)' 'ionice -c 3 -p 1' \"ionice -c 3 -u $(id "
      "-u)\" "
      "'taskset -p 1 1' "
      "'chrt -i -p 0 1'; do $try >/dev/null && echo \"done: $try\"; done; "
      "prlimit --pid 1 --nofile >/dev/null && prlimit --pid $$ --nofile=99 && ulimit -n";
  CHECK(closed_output(closed(script)) == "99\n");
  CHECK(closed_output(closed_as_root(script)) == "99\n");
}

TEST_CASE("what is allowed and is no socket keeps the sandbox from starting") {
  if (skip(why_no_sandbox())) return;
  auto options = closed("echo never");
  options.allowed_unix = {GENERATE("/dev/null", "/nowhere/socket")};
  FakeHost host(options);
  const auto failed = host.await(MessageType::failed);
  CHECK(failed.number == static_cast<int>(ExitCode::usage));
  CHECK_THAT(failed.body, Contains("--allow-unix '" + options.allowed_unix[0] + "' is not a unix socket"));
}

TEST_CASE("without a terminal a closed sandbox's command has a process group of its own") {
  if (skip(why_no_sandbox())) return;
  const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (terminal && skip("there is a terminal")) return;
  // proc_pid_stat(5): pid (name) state parent group
  CHECK(closed_output(closed("set -- $(cat /proc/$$/stat); test $1 = $5 && echo own")) == "own\n");
  CHECK(closed_output(shell("set -- $(cat /proc/$$/stat); test $1 = $5 && echo own")).empty());
}
