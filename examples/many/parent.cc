// Several sandboxes of one process, each with a network, a dialer and counters of its own. The same command
// runs in each, and wherever it connects to, it ends up at the server that its sandbox is for.
//
//   example_many SERVER... -- COMMAND...        SERVER: 192.0.2.1:8080 or [2001:db8::1]:8080
//
//   sandbox 0: guest ─► Host ─► Redirect ─► first server
//   sandbox 1: guest ─► Host ─► Redirect ─► second server        each Host is a thread; none sees another

#include <sched.h>

#include <nsrun/host/dialers/direct_dialer.h>
#include <nsrun/host/host.h>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <list>
#include <optional>

namespace {

using nsrun::Connection, nsrun::Dialer, nsrun::Result, nsrun::Target, nsrun::Task;

class Redirect final : public Dialer {
 public:
  Redirect(std::unique_ptr<Dialer> inner, nsrun::Endpoint server)
      : inner_(std::move(inner)), server_(server) {}

  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    Target elsewhere = target;  // lives as long as this task, and so longer than the inner dial
    elsewhere.endpoint = server_;
    co_return co_await inner_->dial(elsewhere);
  }

 private:
  std::unique_ptr<Dialer> inner_;
  const nsrun::Endpoint server_;
};

nsrun::HostOptions options_for(const nsrun::Endpoint& server) {
  nsrun::HostOptions options;
  options.dialer = [server](nsrun::Executor executor) {
    return std::make_unique<Redirect>(std::make_unique<nsrun::DirectDialer>(executor), server);
  };
  return options;
}

// One sandbox. The host outlives the child: members go in the opposite order.
struct Sandbox {
  Sandbox(const nsrun::Endpoint& server_, char** arguments) : server(server_), host(options_for(server_)) {
    nsrun::Command command;
    command.argv = {std::filesystem::read_symlink("/proc/self/exe").string() + "_child"};
    for (; *arguments; ++arguments) command.argv.emplace_back(*arguments);
    command.clone_flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS;
    host.attach_to_cmd(command).value();
    child = nsrun::start(command).value();
  }

  const nsrun::Endpoint server;
  nsrun::Host host;
  nsrun::Process child;
};

int run(const std::vector<nsrun::Endpoint>& servers, char** arguments) {
  std::list<Sandbox> sandboxes;
  for (const auto& server : servers) sandboxes.emplace_back(server, arguments);
  int worst = 0;
  for (auto& sandbox : sandboxes) {
    const int status = sandbox.child.wait();
    worst = std::max(worst, status);
    std::printf("%s: status %d, %ju bytes down\n", sandbox.server.to_string().c_str(), status,
                std::uintmax_t{sandbox.host.counters().tcp.bytes_down});
  }
  return worst;
}

}  // namespace

int main(int, char** argv) {
  std::vector<nsrun::Endpoint> servers;
  char** word = argv + 1;
  for (; *word && std::strcmp(*word, "--") != 0; ++word)
    if (const auto server = nsrun::Endpoint::parse(*word)) servers.push_back(*server);
  if (servers.empty() || !word[0] || !word[1])
    return std::fputs("usage: example_many SERVER... -- COMMAND...\n", stderr), 2;
  try {
    return run(servers, word + 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_many: %s\n", error.what());
    return 1;
  }
}
