// The impure half of id_map.h: the host writes its child's maps, or has newuidmap(1) and newgidmap(1) do it.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <sstream>

#include "runtime/command.h"
#include "runtime/fd.h"
#include "runtime/id_map.h"
#include "runtime/pipe.h"

namespace nsrun {
namespace {

Result<void> write_whole(const std::string& path, const std::string& text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  // The kernel takes a map in one write or not at all.
  if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return errno_error(
        "cannot write " + path,
        "the ids must be your own, or nsrun must run as root; --map-auto goes through newuidmap",
        ExitCode::no_namespace);
  return {};
}

std::vector<std::string> helper_words(const char* program, pid_t child, const std::string& lines) {
  std::vector<std::string> words{program, std::to_string(child)};
  std::istringstream text(lines);
  for (std::string word; text >> word;) words.push_back(word);
  return words;
}

// What the program wrote to its standard error, on one line.
std::string read_complaint(int pipe) {
  std::string text;
  char buffer[512];
  for (ssize_t size; (size = ::read(pipe, buffer, sizeof buffer)) > 0;) text.append(buffer, size);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

Result<void> run_helper(const char* program, pid_t child, const std::string& lines) {
  auto words = helper_words(program, child, lines);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  auto pipe = make_pipe();
  if (!pipe) return pipe.error();
  auto& [reading, writing] = *pipe;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, writing.get(), STDERR_FILENO);
  pid_t pid = -1;
  const int failure = ::posix_spawnp(&pid, program, &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failure)
    return Error{std::string("cannot run ") + program, errno_code(failure),
                 "--map-auto needs it: as root, apt install uidmap (or shadow-utils)",
                 ExitCode::no_id_ranges};

  writing.reset();
  const std::string complaint = read_complaint(reading.get());
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (status == 0) return {};
  return Error{
      std::string(program) + " refused the id ranges: " + complaint,
      {},
      "check your lines in /etc/subuid and /etc/subgid, and that " + std::string(program) + " is setuid root",
      ExitCode::no_id_ranges};
}

}  // namespace

Result<void> write_id_maps(pid_t child, const std::string& uid_lines, const std::string& gid_lines,
                           bool with_newuidmap) {
  if (with_newuidmap) {
    if (auto done = run_helper("newuidmap", child, uid_lines); !done) return done;
    return run_helper("newgidmap", child, gid_lines);
  }
  const std::string directory = "/proc/" + std::to_string(child);
  if (is_single(gid_lines))
    if (auto done = write_whole(directory + "/setgroups", "deny"); !done) return done;
  if (auto done = write_whole(directory + "/uid_map", uid_lines); !done) return done;
  return write_whole(directory + "/gid_map", gid_lines);
}

}  // namespace nsrun
