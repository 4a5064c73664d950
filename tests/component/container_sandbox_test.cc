#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include "tests/support/catch.h"

#include "container/command/descriptors.h"
#include "tests/support/container_fake_host.h"
#include "tests/support/container_skip.h"

// What the command finds in its sandbox: network, names, privileges, descriptors, ids.

using namespace nsrun;
using Catch::Contains;

namespace {

std::string output_of(const AgentOptions& options) {
  FakeHost host(options);
  host.start_command();
  return host.read_all();
}

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the guest has its addresses, both loopbacks and default routes through the gateways") {
  if (skip(why_no_sandbox())) return;
  const auto text =
      output_of(shell("cat /proc/net/fib_trie /proc/net/route /proc/net/if_inet6 /proc/net/ipv6_route"));
  CHECK_THAT(text, Contains("10.0.2.100") && Contains("127.0.0.1"));
  CHECK_THAT(text, Contains("tun0\t00000000\t0202000A\t0003"));  // default, 10.0.2.2, up and a gateway
  CHECK_THAT(text,
             Contains("fd000000000000000000000000000100") && Contains("00000000000000000000000000000001"));
  CHECK_THAT(text, Contains("00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
                            "fd000000000000000000000000000002"));
  CHECK_THAT(text, !Contains("fe80"));
}

TEST_CASE("a gateway outside the guest's own range is reached all the same") {
  if (skip(why_no_sandbox())) return;
  auto options = shell("cat /proc/net/route");
  options.network.prefix4 = 32;
  CHECK_THAT(output_of(options), Contains("0202000A"));
}

TEST_CASE("without IPv6 the guest's device has no IPv6 address") {
  if (skip(why_no_sandbox())) return;
  auto options = shell("cat /proc/net/if_inet6 /etc/resolv.conf");
  options.network.ipv6 = false;
  CHECK_THAT(output_of(options), !Contains("tun0") && !Contains("fd00"));
}

TEST_CASE("the guest's TCP uses reno, and it may ping and listen on low ports without capabilities") {
  if (skip(why_no_sandbox())) return;
  const auto text =
      output_of(shell("cd /proc/sys/net/ipv4; cat tcp_congestion_control ip_unprivileged_port_start "
                      "ping_group_range; id -g"));
  const auto gid = std::to_string(::getegid());
  CHECK(text == "reno\n0\n" + gid + "\t" + gid + "\n" + gid + "\n");
}

TEST_CASE("the guest's name server is ours, and the host's file stays as it was") {
  if (skip(why_no_sandbox())) return;
  const auto before = text_of("/etc/resolv.conf"), mounts = text_of("/proc/self/mountinfo");
  CHECK_THAT(output_of(shell("cat /etc/resolv.conf; ls /dev/net/tun")),
             Contains("nameserver 10.0.2.3\nnameserver fd00::3\n") && Contains("/dev/net/tun"));
  CHECK(text_of("/etc/resolv.conf") == before);
  CHECK(text_of("/proc/self/mountinfo") == mounts);

  auto options = shell("cat /etc/resolv.conf");
  options.resolv_conf = false;
  CHECK(output_of(options) == before);
}

TEST_CASE("files that are to look like one's own do, and ssh takes them") {
  if (skip(why_no_sandbox())) return;
  char directory[] = "/tmp/nsrun-owned-XXXXXX";
  REQUIRE(::mkdtemp(directory));
  const std::string config = std::string(directory) + "/config",
                    included = std::string(directory) + "/included";
  std::ofstream(config) << "Include " << included << "\n";
  std::ofstream(included) << "User somebody\n";
  const bool of_another = ::chown(included.c_str(), 65534, 65534) == 0;
  const bool closed = GENERATE(false, true), root = GENERATE(false, true);
  auto options = shell("test -O " + included + " && ssh -G -F " + config + " host | grep '^user '");
  options.ids = single_id_map(root);
  options.command.privileged = root;
  options.closed = closed;
  if (closed) options.allowed_unix = {"*"};  // ssh looks up its user, and nobody here answers its connect
  if (of_another) CHECK(output_of(options).find("somebody") == std::string::npos);
  options.own_copies = {included};
  const auto seen = output_of(options);
  std::filesystem::remove_all(directory);
  CHECK(seen == "user somebody\n");
}

TEST_CASE("the command keeps its id and has no capability, nor a way to one") {
  if (skip(why_no_sandbox())) return;
  const auto text = output_of(shell("id -u; grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status"));
  CHECK(text == std::to_string(::geteuid()) +
                    "\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                    "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
}

TEST_CASE("as root inside, the command has its namespaces' capabilities") {
  if (skip(why_no_sandbox())) return;
  auto options =
      shell("id -u; id -g; mount -t tmpfs none /mnt && echo mounted; grep NoNewPrivs /proc/self/status");
  options.command.privileged = true;
  options.ids = single_id_map(true);
  CHECK(output_of(options) == "0\n0\nmounted\nNoNewPrivs:\t0\n");
}

TEST_CASE("the agent's memory and descriptors are closed to the guest's root") {
  if (skip(why_no_sandbox())) return;
  auto options = shell(
      "cat /proc/$PPID/maps || readlink /proc/$PPID/fd/0 || echo kept out; cat /proc/$$/maps > /dev/null && "
      "echo but not of itself");
  options.command.argv[2] = "exec 2>/dev/null; " + options.command.argv[2];
  options.command.privileged = true;
  options.ids = single_id_map(true);
  CHECK(output_of(options) == "kept out\nbut not of itself\n");
}

TEST_CASE("the command inherits the descriptors it was meant to, and none of nsrun's own") {
  if (skip(why_no_sandbox())) return;
  const UniqueFd meant(::fcntl(STDERR_FILENO, F_DUPFD, 20));
  const auto inherited = inherited_descriptors();
  const UniqueFd leaked(::fcntl(STDERR_FILENO, F_DUPFD, 30));
  CHECK(std::find(inherited.begin(), inherited.end(), meant.get()) != inherited.end());

  auto options = shell("exec ls /proc/self/fd");
  options.kept_fds = {meant.get()};
  // 3 is ls's own, for the directory.
  CHECK(output_of(options) == "0\n1\n2\n" + std::to_string(meant.get()) + "\n3\n");
}

TEST_CASE("the command starts in the directory nsrun was started in") {
  if (skip(why_no_sandbox())) return;
  char here[4096];
  REQUIRE(::getcwd(here, sizeof here));
  CHECK(output_of(shell("pwd -P")) == std::string(here) + "\n");
}

TEST_CASE("in a pid namespace of its own the command sees only the sandbox") {
  if (skip(why_no_sandbox())) return;
  auto options =
      shell("echo $$ $PPID; ls /proc | grep -c '^[0-9]'; (setsid sleep 1000 >/dev/null &); exit 6");
  options.namespaces = {.pid = true, .uts = true, .ipc = true};
  FakeHost host(options);
  host.start_command();
  const auto pid = host.heard.back().number;
  CHECK(host.read_line() == std::to_string(pid) + " 1");
  CHECK(std::stoi(host.read_line()) <= 5);  // agent, shell, ls, grep, perhaps a subshell
  CHECK(host.await_exit() == 6);
  host.leave();
  CHECK(host.wait_for_agent() == 6);
}

TEST_CASE("with subordinate ranges the guest can be other users too") {
  if (skip(why_no_sandbox()) || skip(why_no_newuidmap())) return;
  const auto ids = full_id_map(true);
  if (!ids && skip(ids.error().message())) return;
  auto options = shell("cd /tmp; f=$(mktemp) && chown 5:6 $f && stat -c '%u %g' $f; rm $f; id -u");
  options.command.privileged = true;
  options.ids = *ids;
  CHECK(output_of(options) == "5 6\n0\n");
}

TEST_CASE("ids that may not be mapped are the host's to refuse, and the agent says so") {
  if (skip(why_no_sandbox())) return;
  if (::geteuid() == 0 && skip("root may map any id")) return;
  auto options = shell("echo never");
  const bool with_newuidmap = GENERATE(false, true);
  if (with_newuidmap && skip(why_no_newuidmap())) return;
  options.ids = {"0 0 1\n", "0 0 1\n", with_newuidmap};
  FakeHost host(options);
  const auto failed = host.await(MessageType::failed);
  CHECK(failed.number ==
        static_cast<int>(options.ids.with_newuidmap ? ExitCode::no_id_ranges : ExitCode::no_namespace));
  CHECK_THAT(failed.body, Contains("uid"));
}
