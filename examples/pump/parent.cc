// The host's side of a child that keeps its network device and pumps packets (child.cc): what a child must do
// that cannot hand a descriptor over, because it runs in a virtual machine, say. The host notices no
// difference but speed: without the device it has no segmentation offload.
//
//   example_pump COMMAND...

#include <sched.h>

#include <nsrun/host/host.h>
#include <cstdio>
#include <filesystem>

namespace {

int pump(char** arguments) {
  nsrun::Command command;
  command.argv = {std::filesystem::read_symlink("/proc/self/exe").string() + "_child"};
  for (; *arguments; ++arguments) command.argv.emplace_back(*arguments);
  command.clone_flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS;

  nsrun::Host host{nsrun::HostOptions{}};
  host.attach_to_cmd(command).value();
  nsrun::Process child = nsrun::start(command).value();
  const int status = child.wait();
  const auto tcp = host.counters().tcp;
  std::printf("tcp: %ju connections, %ju bytes up, %ju bytes down\n", std::uintmax_t{tcp.connections},
              std::uintmax_t{tcp.bytes_up}, std::uintmax_t{tcp.bytes_down});
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("usage: example_pump COMMAND...\n", stderr), 2;
  try {
    return pump(argv + 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_pump: %s\n", error.what());
    return 1;
  }
}
