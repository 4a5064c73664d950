#include "tests/support/container_fake_host.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include <stdexcept>

#include "runtime/id_map.h"

namespace nsrun {

FakeHost::FakeHost(AgentOptions options) {
  Command command;
  command.clone_flags = agent_clone_flags(options);
  command.ids_from_host = true;
  command.run = [options] { return run_agent(child_fd, options); };
  start_child(std::move(command));
}

FakeHost::FakeHost(std::function<int()> child) {
  Command command;
  command.clone_flags = clone_flags({});
  command.inside_uid = ::geteuid();
  command.inside_gid = ::getegid();
  command.run = std::move(child);
  start_child(std::move(command));
}

void FakeHost::start_child(Command command) {
  command.first_fd = child_fd;
  auto ends = handshake_pair().value();
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) < 0) throw std::runtime_error("no pipe");
  output_.reset(pipe[0]);
  const UniqueFd writing(pipe[1]);
  command.extra_fds.push_back(std::move(ends.second));
  command.run = [inner = std::move(command.run), fd = writing.get(), other = ends.first.get()] {
    ::dup2(fd, STDOUT_FILENO);
    ::close(fd);
    ::close(other);
    return inner();
  };
  agent_ = start(command).value();
  socket_ = std::move(ends.first);
  const timeval limit{20, 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

FakeHost::~FakeHost() {
  leave();
  if (agent_.pid() > 0) agent_.wait();
}

int FakeHost::wait_for_agent() { return agent_.wait(); }

Message FakeHost::await(MessageType type) {
  for (;;) {
    auto message = receive_message(socket_.get());
    if (!message || !*message) return {MessageType::failed, -1};
    if ((*message)->type == type) return std::move(**message);
    if ((*message)->type == MessageType::map_ids) map_ids(**message);
    heard.push_back(std::move(**message));
  }
}

void FakeHost::map_ids(const Message& request) {
  const auto split = request.body.find('\0');
  auto done = write_id_maps(agent_.pid(), request.body.substr(0, split), request.body.substr(split + 1),
                            request.number != 0);
  Message answer{MessageType::ids_mapped};
  if (!done) {
    answer.number = static_cast<int>(done.error().exit);
    answer.body = done.error().message();
  }
  send(std::move(answer));
}

void FakeHost::bring_up() {
  Message message = await(MessageType::device);
  mtu = message.number;
  if (!message.fds.empty()) device = std::move(message.fds[0]);
  send({MessageType::go});
}

void FakeHost::start_command() {
  bring_up();
  heard.push_back(await(MessageType::started));
}

void FakeHost::send(Message message) { (void)send_message(socket_.get(), message); }

std::string FakeHost::read_line() {
  std::string line;
  for (char c; ::read(output_.get(), &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

std::string FakeHost::read_all() {
  std::string text;
  char buffer[4096];
  for (ssize_t size; (size = ::read(output_.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, size);
  return text;
}

AgentOptions shell(const std::string& script) {
  AgentOptions options;
  // A python3 found in PATH may be a bash script of a version manager, and bash without HOME looks up the user:
  // in a closed sandbox it then waits for ever, since no host process answers its connect to nscd here.
  options.command.argv = {"sh", "-c",
                          "export HOME=/ PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; " + script};
  options.ids = single_id_map(false);
  return options;
}

bool exists(pid_t pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

}  // namespace nsrun
