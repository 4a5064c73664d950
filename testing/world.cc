#include "testing/world.h"

#include "testing/program_run.h"
#include "testing/rules.h"

namespace nsrun::testing {

World::World() : state_(std::make_unique<WorldState>()) {}
World::~World() = default;

World& World::on(std::string_view match, Handler handler) {
  state_->declared.declare(match, {.kind = Declaration::Kind::stream, .handler = std::move(handler)});
  return *this;
}

World& World::on(std::string_view match, HttpHandler handler) {
  state_->declared.declare(match, {.kind = Declaration::Kind::http, .respond = std::move(handler)});
  return *this;
}

World& World::on(std::string_view match, HttpResponse always) {
  return on(match, HttpHandler([always = std::move(always)](const HttpRequest&) { return always; }));
}

World& World::refuse(std::string_view match) {
  state_->declared.declare(match, {.kind = Declaration::Kind::refuse});
  return *this;
}

World& World::silence(std::string_view match) {
  state_->declared.declare(match, {.kind = Declaration::Kind::silence});
  return *this;
}

World& World::policy(const std::vector<std::string>& rules) {
  auto parsed = parse_rules(rules).value();
  state_->rules = std::move(parsed.rules);
  state_->otherwise = parsed.otherwise;
  return *this;
}

Program World::start(std::vector<std::string> argv, ProgramOptions options) {
  runs_.push_back(std::make_unique<ProgramRun>(*state_, std::move(argv), std::move(options)));
  return Program(*runs_.back());
}

Outcome World::run(std::vector<std::string> argv, ProgramOptions options) {
  return start(std::move(argv), std::move(options)).wait();
}

const Flows& World::flows() const { return state_->flows; }
Flows World::unexpected() const { return state_->flows.undeclared(); }
const std::vector<std::string>& World::troubles() const { return state_->troubles; }
std::string World::authority() const { return state_->authority.pem(); }

}  // namespace nsrun::testing
