// Runs a command in a sandbox in which one port can be reached, and says where it wanted to go.
//
//   example_refuse PORT COMMAND...
//
//   guest ─► Host ─► UnixConnectBroker ─► DirectDialer ─► world
//                        └─► "refuse tcp/…": the guest's connect() fails with ECONNREFUSED
//
// A dialer is wrapped to change what it does; nothing else knows. Nothing is accepted for the guest before
// its dial has succeeded, so a refusal looks exactly like a port on which nobody listens.
//
// Also shown: the host on a loop of one's own, and the child side that the nsrun command itself uses (the
// agent), in a function instead of a program: with no thread of its own the process may fork.

#include <nsrun/container/agent.h>
#include <nsrun/host/dialers/direct_dialer.h>
#include <nsrun/host/host.h>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <optional>

namespace {

using nsrun::Connection, nsrun::Dialer, nsrun::Result, nsrun::Target, nsrun::Task;

class UnixConnectBroker final : public Dialer {
 public:
  UnixConnectBroker(std::unique_ptr<Dialer> inner, std::uint16_t port)
      : inner_(std::move(inner)), port_(port) {}

  Task<Result<std::unique_ptr<Connection>>> dial(const Target& target) override {
    const bool allowed = target.endpoint.port == port_;
    std::printf("%s %s\n", allowed ? "dial" : "refuse", target.to_string().c_str());
    std::fflush(stdout);
    // The code is what the guest will see; the words are for the log.
    if (!allowed) co_return nsrun::Error{"not the port this sandbox is for", nsrun::errno_code(ECONNREFUSED)};
    co_return co_await inner_->dial(target);
  }

 private:
  std::unique_ptr<Dialer> inner_;
  const std::uint16_t port_;
};

// Ends the host with the command, and the loop with the host: nothing else runs there.
class UntilExit final : public nsrun::SandboxListener {
 public:
  nsrun::asio::io_context loop{1};
  std::optional<nsrun::Host> host;
  std::optional<int> status;

  void exited(int how) override { end(how); }
  void failed(const nsrun::Error& error) override {
    std::fprintf(stderr, "example_refuse: %s\n", error.message().c_str());
    end(static_cast<int>(error.exit));
  }

 private:
  void end(int how) {
    if (!status) status = how;
    nsrun::asio::post(loop, [this] { host.reset(); });  // not from within its own call
  }
};

nsrun::HostOptions options_for(std::uint16_t port, nsrun::SandboxListener& listener) {
  nsrun::HostOptions options;
  options.listener = &listener;
  options.dialer = [port](nsrun::Executor executor) {
    return std::make_unique<UnixConnectBroker>(std::make_unique<nsrun::DirectDialer>(executor), port);
  };
  return options;
}

int run(std::uint16_t port, char** arguments) {
  nsrun::AgentOptions agent;
  for (; *arguments; ++arguments) agent.command.argv.emplace_back(*arguments);
  agent.ids = nsrun::single_id_map(false);

  nsrun::Command command;
  command.clone_flags = nsrun::clone_flags(agent.namespaces);
  command.ids_from_host = true;  // the agent asks for its ids when it is ready for them
  command.run = [&agent] { return nsrun::run_agent(3, agent); };

  UntilExit sandbox;
  sandbox.host.emplace(sandbox.loop, options_for(port, sandbox));
  sandbox.host->attach_to_cmd(command).value();
  const nsrun::Process child = nsrun::start(command).value();
  sandbox.loop.run();
  return sandbox.status.value_or(1);
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc < 3 ? std::nullopt : nsrun::parse_port(argv[1]);
  if (!port) return std::fputs("usage: example_refuse PORT COMMAND...\n", stderr), 2;
  try {
    return run(*port, argv + 2);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "example_refuse: %s\n", error.what());
    return 1;
  }
}
