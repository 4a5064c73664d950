#include "host/sandbox/sandbox.h"

namespace nsrun {
namespace {

ApprovalQueue::Warn warning_of(Ledger& ledger) {
  return [&ledger](const std::string& what) { ledger.warning(what); };
}

std::unique_ptr<AskingProgram> program_of(const HostOptions& options, Executor home, Ledger& ledger) {
  if (options.ask || options.ask_command.empty()) return nullptr;
  return std::make_unique<AskingProgram>(home, options.ask_command, warning_of(ledger));
}

std::unique_ptr<ApprovalQueue> approvals_of(const HostOptions& options, AskingProgram* program,
                                            Ledger& ledger) {
  AskFunction ask = options.ask;
  if (program)
    ask = [program](const Question& question, Reply reply) { program->ask(question, std::move(reply)); };
  if (!ask) return nullptr;
  return std::make_unique<ApprovalQueue>(std::move(ask), options.ask_limit, warning_of(ledger));
}

}  // namespace

Sandbox::Sandbox(HostOptions given, Executor home)
    : options(std::move(given)),
      memory(options.memory),
      ledger(options.events ? *options.events : no_events),
      asked(program_of(options, home, ledger)),
      approvals(approvals_of(options, asked.get(), ledger)),
      synthetic(SyntheticNames::max_names, &memory),
      policy({.network = options.network,
              .host_loopback = options.host_loopback,
              .always_names = options.dialer_resolves_names || options.learner,
              .approvals = approvals.get(),
              .hosts_file = options.hosts_file},
             synthetic, options.rules ? options.rules : std::make_shared<const RuleSet>()),
      capture([this](const IpAddress& address) { return name_of(address); }) {
  if (options.learner) learning = std::make_unique<LearningPolicy>(policy, *options.learner);
  if (!options.capture.empty()) capture.start(options.capture).value();
}

SharedText Sandbox::name_of(const IpAddress& address) {
  if (SyntheticNames::covers(address)) return synthetic.name_of(address).value_or(SharedText{});
  return ledger.name_of(address);
}

}  // namespace nsrun
