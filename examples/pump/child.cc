// Keeps the network device and carries its packets to and from the host, one thread each way, while a command
// runs:
//
//   command ─► tun0 ─► write_loop ─► socket ─► host
//           ◄─      ◄─ read_loop  ◄─        ◄─
//
// One record of the socket is one raw IP packet. The same two loops would do on anything that keeps records
// apart: Container::open takes a descriptor as well.

#include <sys/socket.h>

#include <nsrun/container/container.h>
#include <nsrun/runtime/command.h>
#include <cstdio>
#include <thread>

namespace {

int pump(char** arguments) {
  auto net = nsrun::Container::open(0, {}, nsrun::DeviceMode::pump).value();
  net.setup_network().value();
  std::thread to_host([&net] { (void)net.write_loop(); });
  std::thread from_host([&net] { (void)net.read_loop(); });

  nsrun::Command command;
  for (; *arguments; ++arguments) command.argv.emplace_back(*arguments);
  auto child = nsrun::start(command);
  const int status = child ? child->wait() : static_cast<int>(child.error().exit);

  ::shutdown(net.host(), SHUT_RDWR);  // as if the host had gone: both loops end
  to_host.join();
  from_host.join();
  return status;
}

}  // namespace

int main(int, char** argv) {
  try {
    return pump(argv + 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_pump_child: %s\n", error.what());
    return 1;
  }
}
