#include "testing/world.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "host/policy/fault_rule.h"
#include "testing/program_run.h"
#include "testing/recorder.h"
#include "testing/replay.h"

namespace nsrun::testing {

World::World() : state_(std::make_unique<WorldState>()) {}
World::~World() {
  runs_.clear();
  state_->end_handlers();
}

World& World::changed() {
  for (const auto& run : runs_) run->adopt_rules();
  return *this;
}

World& World::on(std::string_view match, Handler handler) {
  state_->declared.declare(match, {.kind = Declaration::Kind::stream, .handler = std::move(handler)});
  return changed();
}

World& World::on(std::string_view match, HttpHandler handler) {
  state_->declared.declare(match, {.kind = Declaration::Kind::http, .respond = std::move(handler)});
  return changed();
}

World& World::on(std::string_view match, HttpResponse always) {
  return on(match, HttpHandler([always = std::move(always)](const HttpRequest&) { return always; }));
}

World& World::refuse(std::string_view match) {
  state_->declared.declare(match, {.kind = Declaration::Kind::refuse});
  return changed();
}

World& World::silence(std::string_view match) {
  state_->declared.declare(match, {.kind = Declaration::Kind::silence});
  return changed();
}

World& World::policy(const std::vector<std::string>& rules) {
  state_->policy = parse_rules(rules).value();
  return changed();
}

World& World::fault(std::string_view match, std::string_view what) {
  auto rule = parse_fault_rule(what, match).value();
  const auto same = std::find_if(state_->faults.begin(), state_->faults.end(),
                                 [&](const Rule& known) { return known.match == rule.match; });
  if (same != state_->faults.end())
    same->faults->replace(*rule.faults->spec());  // for flows that live, too
  else
    state_->faults.push_back(std::move(rule));
  return changed();
}

World& World::mend(std::string_view match) {
  const auto mended = Match::parse(match).value();
  for (const auto& known : state_->faults)
    if (known.match == mended) known.faults->replace({});
  return *this;
}

Program World::start(std::vector<std::string> argv, ProgramOptions options) {
  runs_.push_back(std::make_unique<ProgramRun>(*state_, std::move(argv), std::move(options)));
  return Program(*runs_.back());
}

Outcome World::run(std::vector<std::string> argv, ProgramOptions options) {
  return start(std::move(argv), std::move(options)).wait();
}

Outcome World::record(const std::string& file, std::vector<std::string> argv, ProgramOptions options) {
  state_->beyond = nullptr;
  replay_.reset();
  Recorder recorder(*state_);
  auto outcome = run(std::move(argv), std::move(options));
  state_->end_handlers();  // servers that keep connections open
  const auto recording = recorder.take();
  if (!recording) throw ErrorException(recording.error());
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << to_json(*recording);
  if (!out.flush()) throw ErrorException(errno_error("cannot write the recording " + file));
  return outcome;
}

World& World::replay(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw ErrorException(errno_error("cannot read the recording " + file));
  const std::string text(std::istreambuf_iterator<char>(in), {});
  auto recording = recording_from_json(text);
  if (!recording)
    throw ErrorException({"the recording " + file + " is wrong: " + recording.error().message()});
  state_->end_handlers();
  replay_ = std::make_unique<Replay>(*state_, std::move(*recording));
  state_->beyond = replay_.get();
  return *this;
}

const Flows& World::flows() const { return state_->flows; }
Flows World::unexpected() const { return state_->flows.undeclared(); }
const std::vector<std::string>& World::troubles() const { return state_->troubles; }
std::string World::authority() const { return state_->authority.pem(); }

}  // namespace nsrun::testing
