// Gives a child program of one's own a network, and shows what it used of it.
//
//   example_embed COMMAND...
//
//   this process                              child.cc, in namespaces of its own
//     a pipe ──────────── descriptor 3 ─────►   its report to us
//     Host, a thread ──── descriptor 4 ─────►   Container::open(1)
//
// The host comes last: whatever the child gets besides keeps the numbers it had before nsrun came along.

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <nsrun/host/host.h>
#include <cstdio>
#include <filesystem>

namespace {

nsrun::Command command_for(char** arguments, nsrun::UniqueFd report) {
  nsrun::Command command;
  command.argv = {std::filesystem::read_symlink("/proc/self/exe").string() + "_child"};
  for (; *arguments; ++arguments) command.argv.emplace_back(*arguments);
  // The kernel starts the child right inside; it is root there, and its root is this process's user outside.
  command.clone_flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID;
  command.extra_fds.push_back(std::move(report));
  return command;
}

// Until the child closes its end, which executing the command does.
void show_report(int pipe) {
  char text[512];
  for (ssize_t size; (size = ::read(pipe, text, sizeof text)) > 0;)
    std::fwrite(text, 1, static_cast<std::size_t>(size), stdout);
  std::fflush(stdout);
}

void show(const nsrun::Counters& totals) {
  std::printf("tcp: %ju connections, %ju bytes up, %ju bytes down\n", std::uintmax_t{totals.tcp.connections},
              std::uintmax_t{totals.tcp.bytes_up}, std::uintmax_t{totals.tcp.bytes_down});
  std::printf("udp: %ju flows, %ju packets up, %ju packets down\n", std::uintmax_t{totals.udp.flows},
              std::uintmax_t{totals.udp.packets_up}, std::uintmax_t{totals.udp.packets_down});
}

int embed(char** arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) throw nsrun::ErrorException(nsrun::errno_error("cannot make a pipe"));
  const nsrun::UniqueFd report(ends[0]);
  nsrun::Command command = command_for(arguments, nsrun::UniqueFd(ends[1]));

  nsrun::Host host{nsrun::HostOptions{}};
  host.attach_to_cmd(command).value();
  nsrun::Process child = nsrun::start(command).value();
  show_report(report.get());
  const int status = child.wait();
  show(host.counters());
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("usage: example_embed COMMAND...\n", stderr), 2;
  try {
    return embed(argv + 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_embed: %s\n", error.what());
    return 1;
  }
}
