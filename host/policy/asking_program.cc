#include "host/policy/asking_program.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/dispatch.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "runtime/pipe.h"

// Theory of operation
//
// Questions come from any thread and are brought home, where a writer and a reader talk with the program over
// two pipes that never block. Who asks waits with a limit of its own (ApprovalQueue), so a question may stay here
// unanswered; their number is bounded, and the oldest go. When the program ends, or closes an end, all that
// wait are denied.

namespace nsrun {
namespace {

constexpr std::size_t max_answer_line = 64 << 10;  // bytes; a longer line ends the conversation
constexpr std::size_t max_unsent = 1 << 20;  // bytes; then the program reads too slowly, and is not asked
constexpr std::size_t max_waiting_questions = 4096;                // questions
constexpr auto program_farewell = std::chrono::milliseconds(200);  // for the program to end by itself

std::string line_of(std::uint64_t id, const Question& question) {
  boost::json::object line;
  line["id"] = id;
  line["protocol"] = to_string(question.protocol);
  const bool named = !question.name.empty();
  line["name"] = named ? boost::json::value(question.name) : nullptr;
  line["address"] = named ? nullptr : boost::json::value(question.address.to_string());
  line["port"] = question.protocol == Protocol::icmp ? nullptr : boost::json::value(question.port);
  return boost::json::serialize(line) + "\n";
}

std::string_view text_of(const boost::json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(text->data(), text->size()) : std::string_view{};
}

}  // namespace

AskingProgram::AskingProgram(Executor home, std::string command, ApprovalQueue::Warn warn)
    : home_(home), command_(std::move(command)), warn_(std::move(warn)), tasks_(home), more_(home) {}

void AskingProgram::ask(const Question& question, Reply reply) {
  asio::dispatch(home_, [this, question, reply = std::move(reply)] { take(question, reply); });
}

void AskingProgram::take(const Question& question, Reply reply) {
  if (!std::exchange(started_, true))
    if (auto begun = start(); !begun) give_up(begun.error().message());
  if (over_ || unsent_.size() > max_unsent) return reply({});
  if (waiting_.size() >= max_waiting_questions) waiting_.erase(waiting_.begin());
  waiting_.emplace(++last_id_, std::move(reply));
  unsent_ += line_of(last_id_, question);
  more_.raise();
}

Result<void> AskingProgram::start() {
  const std::string doing = "cannot make a pipe to the program of --ask";
  auto to = make_pipe(doing), from = make_pipe(doing);
  if (!to) return to.error();
  if (!from) return from.error();
  auto& [its_input, our_output] = *to;
  auto& [our_input, its_output] = *from;
  for (const auto* ours : {&our_output, &our_input}) ::fcntl(ours->get(), F_SETFL, O_NONBLOCK);

  Command command;
  command.argv = {"/bin/sh", "-c", command_};
  command.extra_fds.push_back(std::move(its_input));
  command.extra_fds.push_back(std::move(its_output));
  command.first_fd = STDIN_FILENO;
  command.usual_signals = true;
  auto process = nsrun::start(command);
  if (!process) return process.error();
  process_ = std::move(*process);
  to_program_.emplace(home_, our_output.release());
  from_program_.emplace(home_, our_input.release());
  tasks_.spawn(converse());
  return {};
}

Task<> AskingProgram::converse() {
  co_await either(write_questions(), read_answers());
  give_up("the program of --ask has ended, or closed its input or output");
}

Task<> AskingProgram::write_questions() {
  for (;;) {
    while (!unsent_.empty()) {
      const auto sent = ::write(to_program_->native_handle(), unsent_.data(), unsent_.size());
      if (sent > 0) {
        unsent_.erase(0, static_cast<std::size_t>(sent));
        continue;
      }
      if (errno != EAGAIN && errno != EINTR) co_return;
      if (!co_await writable(*to_program_)) co_return;
    }
    co_await more_.wait();
  }
}

Task<> AskingProgram::read_answers() {
  char buffer[4096];
  while (co_await readable(*from_program_)) {
    const auto got = ::read(from_program_->native_handle(), buffer, sizeof buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got <= 0) co_return;
    received_.append(buffer, static_cast<std::size_t>(got));
    for (auto end = received_.find('\n'); end != received_.npos; end = received_.find('\n')) {
      const std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      if (!line.empty()) understand(line);
    }
    if (received_.size() > max_answer_line) co_return;
  }
}

void AskingProgram::understand(std::string_view line) {
  boost::system::error_code trouble;
  const auto value = boost::json::parse({line.data(), line.size()}, trouble);
  const auto* object = trouble ? nullptr : value.if_object();
  const auto* id = object ? object->if_contains("id") : nullptr;
  // An id that does not wait any more had its time.
  if (!id || !id->is_int64() || id->get_int64() < 1 || static_cast<std::uint64_t>(id->get_int64()) > last_id_)
    return tell_nonsense(line);
  const auto found = waiting_.find(static_cast<std::uint64_t>(id->get_int64()));
  if (found == waiting_.end()) return;
  const Reply reply = std::move(found->second);
  waiting_.erase(found);
  reply(understand_answer(line, text_of(*object, "answer"), text_of(*object, "remember")));
}

Answer AskingProgram::understand_answer(std::string_view line, std::string_view answer,
                                        std::string_view remember) {
  const bool is_known = remember.empty() || remember == "once" || remember == "always";
  for (const Action action : {Action::allow, Action::deny, Action::reject})
    if (answer == to_string(action) && is_known) return {action, remember == "always"};
  tell_nonsense(line);
  return {};
}

void AskingProgram::tell_nonsense(std::string_view line) {
  if (std::exchange(told_nonsense_, true)) return;
  std::string shown(line.substr(0, 80));
  std::erase_if(shown, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  warn_("the program of --ask wrote '" + shown +
        "', which is not a valid answer and means deny (expected {\"id\":1,\"answer\":\"allow\"}; reported "
        "once)");
}

void AskingProgram::give_up(const std::string& why) {
  over_ = true;
  unsent_.clear();
  warn_(why + ": what is asked from now on is denied");
  const auto denied = std::move(waiting_);
  waiting_.clear();
  for (const auto& [id, reply] : denied) reply({});
}

Task<> AskingProgram::end() {
  over_ = true;
  waiting_.clear();
  co_await tasks_.cancel_and_join();
  to_program_.reset();  // its input ends, and so may it
  from_program_.reset();
  if (process_.pid() < 0) co_return;
  process_.kill(SIGTERM);
  Descriptor ended(home_, ::fcntl(process_.pidfd(), F_DUPFD_CLOEXEC, 3));
  co_await within(program_farewell, readable(ended));
  process_ = Process();
}

}  // namespace nsrun
