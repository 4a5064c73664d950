#include "host/policy/learner.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "host/policy/rule_policy.h"
#include "runtime/fd.h"

// Theory of operation
//
// Under --learn every flow is known by its name where it has one, since the guest is told synthetic
// addresses; so what was allowed by name is written by name. Ports that follow each other become a range,
// nothing else is put together: the policy allows what happened, and no more. A name that was asked about and
// never dialled (an MX record, a name that is looked up and not used) gets a rule for questions alone.

namespace nsrun {
namespace {

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == path.npos ? "." : path.substr(0, slash + 1);
}

// A plain scalar where YAML reads it as the same text, else a quoted one.
std::string quoted(const std::string& text) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '/' ||
           c == ':';
  };
  if (std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  return quoted + "'";
}

std::string on_one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  return text;
}

// Some names that the guest can make up have no form as a rule (another rule would read the same).
bool can_be_said(const Match& match) {
  const auto read = Match::parse(match.to_string());
  return read && *read == match;
}

// Whether it is the same at the next port.
bool follows(const Match& before, Match match) {
  if (match.protocol == Protocol::icmp || match.ports.first != before.ports.last + 1) return false;
  match.ports = before.ports;
  return match == before;
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Match Learner::match_of(const Seen& seen) {
  Match match;
  match.protocol = seen.protocol;
  match.host = seen.name.empty() ? Match::Host::network : Match::Host::name;
  match.name = seen.name;
  if (seen.name.empty()) match.network = {seen.address, static_cast<std::uint8_t>(seen.address.size() * 8)};
  if (seen.protocol != Protocol::icmp) match.ports = {seen.port, seen.port};
  return match;
}

void Learner::saw_flow(Protocol protocol, const std::string& name, const Endpoint& target) {
  const std::lock_guard hold(lock_);
  Seen seen{name, name.empty() ? target.address : IpAddress(), protocol, target.port};
  if (flows_.contains(seen)) return;
  if (flows_.size() >= most)
    is_full_ = true;
  else
    flows_.insert(std::move(seen));
}

void Learner::saw_question(const std::string& name) {
  const std::lock_guard hold(lock_);
  if (questions_.contains(name)) return;
  if (questions_.size() >= most)
    is_full_ = true;
  else
    questions_.insert(name);
}

// Names before addresses (the empty name sorts first, hence two passes), each with its protocols and ports.
std::vector<Match> Learner::matches() const {
  std::vector<Match> found;
  std::set<std::string> dialled;
  for (const bool by_name : {true, false})
    for (const Seen& seen : flows_) {
      if (seen.name.empty() == by_name) continue;
      dialled.insert(seen.name);
      const Match match = match_of(seen);
      if (!found.empty() && follows(found.back(), match))
        found.back().ports.last = match.ports.first;
      else if (can_be_said(match))
        found.push_back(match);
    }
  for (const auto& name : questions_) {
    if (dialled.contains(name)) continue;
    Match match;
    match.content = Match::Content::dns;
    match.host = Match::Host::name;
    match.name = name;
    if (can_be_said(match)) found.push_back(match);
  }
  return found;
}

std::string Learner::policy(const std::string& title) const {
  const std::lock_guard hold(lock_);
  std::string text = "# " + on_one_line(title) + "\n";
  if (is_full_) text += "# There was more than could be learnt: what is not here was allowed as well.\n";
  text += "version: 1\ndefault: reject\nrules:\n";
  for (const Match& match : matches()) text += "  - allow: " + quoted(match.to_string()) + "\n";
  return text;
}

Result<void> Learner::check(const std::string& path) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode))
    return Error{"cannot write a policy to " + path + ": it is not a regular file", {}, {}, ExitCode::usage};
  if (::access(directory_of(path).c_str(), W_OK | X_OK) < 0)
    return errno_error("cannot write a policy to " + path,
                       "the directory must be yours to write in: the file is replaced", ExitCode::usage);
  return {};
}

Result<void> Learner::write(const std::string& path, const std::string& title) const {
  const std::string doing = "cannot write the policy that was learnt to " + path;
  std::string unfinished = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(unfinished.data(), O_CLOEXEC));
  if (!file) return errno_error(doing);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  const bool done = write_all(file.get(), policy(title)) && ::fchmod(file.get(), 0666 & ~mask) == 0 &&
                    ::fsync(file.get()) == 0 && ::rename(unfinished.c_str(), path.c_str()) == 0;
  if (done) return {};
  const auto error = errno_error(doing);
  ::unlink(unfinished.c_str());
  return error;
}

Verdict LearningPolicy::judge(const FlowKey& key) {
  Verdict verdict = policy_.judge(key);
  if (!verdict.asks) learn(key, verdict);
  return verdict;
}

Task<Verdict> LearningPolicy::ask(const FlowKey& key, Verdict undecided) {
  Verdict verdict = co_await policy_.ask(key, std::move(undecided));
  learn(key, verdict);
  co_return verdict;
}

void LearningPolicy::learn(const FlowKey& key, const Verdict& verdict) {
  if (!verdict.allowed || verdict.rule == name_service_rule) return;
  learner_.saw_flow(key.protocol, verdict.name, key.target);
}

}  // namespace nsrun
