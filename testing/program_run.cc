// A program's life, seen from the test:
//
//   constructor  pipes, Host on the world's loop, the agent in its namespaces: as the nsrun command does
//   run_until    the loop runs, on the test's thread: packets, handlers, output
//   close        the host ends: the agent sees it hang up, kills what is left
//   finish       what is left in the pipes; the outcome
//   destructor   waits for the agent
//
// The agent keeps the pipes' other ends while it lives, so their end does not say that the program's output
// is whole. Its word `exited` does: nothing of the sandbox runs then, and what was printed is in the pipes.

#include "testing/program_run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <cstdlib>

#include "runtime/pipe.h"
#include "runtime/id_map.h"

namespace nsrun::testing {
namespace {

constexpr auto step = 100ms;  // the loop returns at least so often, to look at the clock

// A proxy of the test's machine is no part of the world.
constexpr std::array proxy_variables = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                        "all_proxy",  "ALL_PROXY",  "ftp_proxy",   "FTP_PROXY"};

// The loop may write to pipes and sockets whose reader is gone; the test keeps its own ways with SIGPIPE.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::sigpending(&before_);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &mask_);
  }
  ~WithoutSigpipe() {
    const timespec at_once{};
    if (!::sigismember(&before_, SIGPIPE))
      while (::sigtimedwait(&pipe_, nullptr, &at_once) > 0) {
      }
    ::pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_, before_, mask_;
};

constexpr int first_fd = 3;  // in the child: input, output, errors, then the host's

// In the child: its own words come after what the test has.
int become(const AgentOptions& agent, const Environment& environment, const std::string& directory) {
  for (int i = 0; i < 3; ++i) {
    if (::dup2(first_fd + i, i) < 0) return static_cast<int>(ExitCode::failed);
    ::close(first_fd + i);
  }
  for (const char* name : proxy_variables) ::unsetenv(name);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  if (!directory.empty() && ::chdir(directory.c_str()) < 0) {
    ::dprintf(STDERR_FILENO, "cannot start in %s\n", directory.c_str());
    return static_cast<int>(ExitCode::failed);
  }
  return run_agent(first_fd + 3, agent);
}

}  // namespace

ProgramRun::ProgramRun(WorldState& world, std::vector<std::string> argv, ProgramOptions options)
    : world_(world),
      options_(std::move(options)),
      collecting_(world.loop.get_executor()),
      deadline_(Clock::now() + options_.limit) {
  const auto agent = agent_options(std::move(argv));
  auto environment = world_.trust.environment();
  environment.insert(environment.end(), options_.environment.begin(), options_.environment.end());

  Command command;
  command.clone_flags = clone_flags(agent.namespaces);
  command.ids_from_host = true;  // the agent asks for its ids when it is ready for them
  command.extra_fds.push_back(input());
  for (int i = 0; i < 2; ++i) command.extra_fds.push_back(output(i == 0 ? outcome_.out : outcome_.err));
  command.run = [&] { return become(agent, environment, options_.directory); };

  host_.emplace(world_.loop, host_options());
  host_->attach_to_cmd(command).value();
  auto started = start(command);
  if (!started) {
    close();
    throw ErrorException(started.error());
  }
  agent_ = std::move(*started);
  for (auto& pipe : pipes_) collecting_.spawn(collect(pipe));
}

ProgramRun::~ProgramRun() {
  close();
  agent_.wait();
}

AgentOptions ProgramRun::agent_options(std::vector<std::string> argv) const {
  AgentOptions agent;
  agent.command.argv = std::move(argv);
  agent.ids = single_id_map(false);
  return agent;
}

HostOptions ProgramRun::host_options() {
  HostOptions options;
  options.rules = world_.rules();
  options.dialer = [this](Executor) { return std::make_unique<DeclaredDialer>(world_); };
  options.dialer_resolves_names = true;
  if (!world_.reaches_outside) options.resolv_conf.clear();
  options.events = this;
  options.listener = this;
  return options;
}

UniqueFd ProgramRun::input() const {
  if (options_.input.empty()) {
    UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return nothing;
  }
  UniqueFd file(::memfd_create("input", MFD_CLOEXEC));
  std::string_view rest = options_.input;
  while (file && !rest.empty()) {
    const auto written = ::write(file.get(), rest.data(), rest.size());
    if (written <= 0) throw ErrorException(errno_error("cannot keep a program's input"));
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (!file || ::lseek(file.get(), 0, SEEK_SET) < 0)
    throw ErrorException(errno_error("cannot keep a program's input"));
  return file;
}

UniqueFd ProgramRun::output(std::string& text) {
  auto ends = make_pipe();
  if (!ends) throw ErrorException(ends.error());
  ::fcntl(ends->reading.get(), F_SETFL, O_NONBLOCK);
  pipes_[&text == &outcome_.err] = {std::move(ends->reading), &text};
  return std::move(ends->writing);
}

bool ProgramRun::drain(const Pipe& pipe) {
  std::array<char, 64 * 1024> buffer;
  ssize_t size;
  while ((size = ::read(pipe.ours.get(), buffer.data(), buffer.size())) > 0) {
    const auto room = max_output - pipe.text->size();
    pipe.text->append(buffer.data(), std::min(static_cast<std::size_t>(size), room));
  }
  return size < 0 && errno == EAGAIN;
}

Task<> ProgramRun::collect(Pipe& pipe) {
  Descriptor waiting(world_.loop, ::fcntl(pipe.ours.get(), F_DUPFD_CLOEXEC, 3));
  while (co_await readable(waiting))
    if (!drain(pipe)) co_return;
}

// ---- what the sandbox says

void ProgramRun::flow_ended(const FlowRecord& record) {
  if (record.rule == "name-service") return;
  Flow flow = flow_of(record);
  flow.declared = world_.has(flow);
  outcome_.flows.add(flow);
  world_.flows.add(std::move(flow));
}

void ProgramRun::started() {
  has_started_ = true;
  for (const int number : std::exchange(waiting_signals_, {})) host_->send_signal(number);
}

void ProgramRun::exited(int status) {
  outcome_.status = status;
  has_status_ = true;
}

void ProgramRun::failed(const Error& error) {
  if (!has_ended()) failure_ = error;
}

void ProgramRun::ended() {
  if (!has_ended()) failure_ = Error{"the sandbox's agent was killed, and the program with it"};
}

// ---- what the test says

bool ProgramRun::run_until(const std::function<bool()>& condition) {
  const WithoutSigpipe quiet;
  while (true) {
    rethrow();
    if (condition()) return true;
    if (has_ended()) return false;
    if (Clock::now() >= deadline_) return outcome_.timed_out = true, false;
    world_.run_loop(step);
  }
}

void ProgramRun::signal(int number) {
  if (has_started_)
    host_->send_signal(number);
  else
    waiting_signals_.push_back(number);
}

void ProgramRun::adopt_rules() {
  if (host_) host_->replace_rules(world_.rules());
}

void ProgramRun::close() {
  if (!host_) return;
  const WithoutSigpipe quiet;
  host_->close();
  while (!closed_) world_.run_loop(step);
  bool ended = false;
  asio::co_spawn(world_.loop, collecting_.cancel_and_join(), [&](std::exception_ptr) { ended = true; });
  while (!ended) world_.run_loop(step);
  for (const auto& pipe : pipes_) drain(pipe);
  host_.reset();
}

Outcome ProgramRun::finish() {
  run_until([this] { return has_ended(); });
  close();
  rethrow();
  if (failure_) throw ErrorException(*failure_);
  return outcome_;
}

void ProgramRun::rethrow() {
  if (world_.thrown) std::rethrow_exception(std::exchange(world_.thrown, nullptr));
}

// ---- Program

Outcome Program::wait() { return run_.finish(); }
bool Program::wait_until(const std::function<bool()>& condition) { return run_.run_until(condition); }
void Program::signal(int number) {
  if (is_running()) run_.signal(number);
}
bool Program::is_running() const { return !run_.has_ended(); }
const std::string& Program::out() const { return run_.so_far().out; }
const std::string& Program::err() const { return run_.so_far().err; }

std::string Outcome::to_string() const {
  std::string text = timed_out ? "timed out" : "status " + std::to_string(status);
  text += "\n--- out\n" + out + "\n--- err\n" + err + "\n--- flows\n" + flows.to_string();
  return text;
}

}  // namespace nsrun::testing
