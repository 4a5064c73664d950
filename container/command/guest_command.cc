#include "container/command/guest_command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "container/command/capabilities.h"
#include "runtime/fd.h"
#include "runtime/pipe.h"

// The forked child tells why it could not become the command through a pipe that closes on exec: nothing
// arriving means that it did.

namespace nsrun {
namespace {

enum class Step : int { prepare, execute };
struct Complaint {
  Step step;
  int number;  // execute: errno
  ExitCode exit;
  std::array<char, 512> words;  // prepare: of the error
};

[[noreturn]] void complain(int pipe, const Complaint& complaint) {
  (void)!::write(pipe, &complaint, sizeof complaint);
  ::_exit(static_cast<int>(ExitCode::failed));
}

[[noreturn]] void complain(int pipe, const Error& error) {
  Complaint complaint{Step::prepare, 0, error.exit, {}};
  error.message().copy(complaint.words.data(), complaint.words.size() - 1);
  complain(pipe, complaint);
}

void limit_descriptors(rlim_t most) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = std::min(most, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

[[noreturn]] void become(const GuestCommand& command, const std::vector<char*>& argv, int pipe) {
  // Should the agent be killed (by the OOM killer, for instance), nobody would look after the command.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (command.own_group) ::setpgid(0, 0);
  if (!command.privileged)
    if (auto given_up = give_up_privileges(); !given_up) complain(pipe, given_up.error());
  if (command.prepare)
    if (auto prepared = command.prepare(); !prepared) complain(pipe, prepared.error());
  command.signals.restore();
  if (command.descriptor_limit) limit_descriptors(*command.descriptor_limit);
  ::execvp(argv[0], argv.data());
  complain(pipe, {Step::execute, errno, ExitCode::failed, {}});
}

// The file execvp(3) would run, or nothing.
std::string find_in_path(const std::string& name) {
  if (name.find('/') != name.npos) return ::access(name.c_str(), F_OK) == 0 ? name : "";
  const char* path = ::getenv("PATH");
  std::string_view rest = path ? path : "/bin:/usr/bin";
  for (;;) {
    const auto directory = rest.substr(0, rest.find(':'));
    const std::string file = (directory.empty() ? "." : std::string(directory)) + "/" + name;
    if (::access(file.c_str(), F_OK) == 0) return file;
    if (directory.size() == rest.size()) return "";
    rest.remove_prefix(directory.size() + 1);
  }
}

// What a script's first line names; empty for other files.
std::string interpreter_of(const std::string& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  if (line.rfind("#!", 0) != 0) return "";
  const auto first = line.find_first_not_of(" \t", 2);
  if (first == line.npos) return "";
  return line.substr(first, line.find_first_of(" \t\r", first) - first);
}

bool is_directory(const std::string& file) {
  struct stat found {};
  return ::stat(file.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

Error execute_error(const std::string& name, int number) {
  const std::string file = name.empty() ? "" : find_in_path(name);
  // execvp(3) says EACCES when a directory of PATH may not be searched, whether or not the name is in
  // another.
  const bool searched = name.find('/') == name.npos;
  const bool absent =
      (file.empty() && (number == ENOENT || (number == EACCES && searched))) || number == ENOTDIR;
  if (absent && searched) return {name + ": command not found", {}, {}, ExitCode::not_found};
  if (absent) return {name, errno_code(number), {}, ExitCode::not_found};
  if (number == EACCES && is_directory(file)) number = EISDIR;
  if (number != ENOENT) return {name, errno_code(number), {}, ExitCode::not_executable};
  // The file is there, so what is missing is what would run it.
  const std::string interpreter = interpreter_of(file);
  if (interpreter.empty())
    return {file + ": the dynamic loader it was built for is missing", {}, {}, ExitCode::not_executable};
  return {file + ": its interpreter " + interpreter + " is missing", {}, {}, ExitCode::not_executable};
}

}  // namespace

Result<pid_t> start_guest_command(const GuestCommand& command) {
  if (command.argv.empty()) return Error{"there is no command to run", {}, {}, ExitCode::usage};
  std::vector<char*> argv;
  for (const auto& word : command.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  auto pipe = make_pipe();
  if (!pipe) return pipe.error();
  auto& [reading, writing] = *pipe;
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("cannot start a process in the sandbox");
  if (pid == 0) become(command, argv, writing.get());

  writing.reset();
  Complaint complaint{};
  ssize_t size;
  while ((size = ::read(reading.get(), &complaint, sizeof complaint)) < 0 && errno == EINTR) {
  }
  if (size != sizeof complaint) return pid;
  ::waitpid(pid, nullptr, 0);
  if (complaint.step == Step::prepare) return Error{complaint.words.data(), {}, {}, complaint.exit};
  return execute_error(command.argv[0], complaint.number);
}

}  // namespace nsrun
