#include "cmd/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "cmd/choose.h"
#include "cmd/help.h"
#include "host/policy/sandbox_rules.h"
#include "host/text/units.h"

namespace nsrun {
namespace {

constexpr std::size_t ample_workers =
    4;  // what --workers=auto uses at most: more than fills most machines' links

Error usage(std::string what, std::string advice = "nsrun --help lists the options") {
  return {std::move(what), {}, std::move(advice), ExitCode::usage};
}

// Addresses that mean something else to every kernel.
bool is_special(const Cidr& network) {
  const auto& address = network.address;
  return address.is_unspecified() || address.is_loopback() || address.is_link_local() ||
         address.is_multicast();
}

// The guest, gateway and name server of a network: .100, .2 and .3, as slirp4netns --cidr has them.
Result<void> place_network4(NetworkOptions& network, const std::string& text) {
  const auto cidr = Cidr::parse(text);
  if (!cidr || !cidr->address.is_v4() || cidr->length < 8 || cidr->length > 25 || is_special(*cidr))
    return usage("--network '" + text + "' is not an IPv4 network for ordinary addresses",
                 "write one of /8 to /25, for instance 10.0.2.0/24");
  const auto host = [&](std::uint8_t number) {
    const auto* b = cidr->address.data();
    return IpAddress::v4(b[0], b[1], b[2], static_cast<std::uint8_t>(b[3] | number));
  };
  network.guest4 = host(100);
  network.gateway4 = host(2);
  network.name_server4 = host(3);
  network.prefix4 = cidr->length;
  return {};
}

Result<void> place_network6(NetworkOptions& network, const std::string& text) {
  const auto cidr = Cidr::parse(text);
  if (!cidr || cidr->address.is_v4() || cidr->length < 16 || cidr->length > 112 || is_special(*cidr))
    return usage("--network6 '" + text + "' is not an IPv6 network for ordinary addresses",
                 "write one of /16 to /112, for instance fd00::/64");
  const auto host = [&](std::uint8_t high, std::uint8_t low) {
    auto bytes = cidr->address.mapped();
    bytes[14] |= high;
    bytes[15] |= low;
    return IpAddress::v6_from(bytes.data());
  };
  network.guest6 = host(1, 0);
  network.gateway6 = host(0, 2);
  network.name_server6 = host(0, 3);
  network.prefix6 = cidr->length;
  return {};
}

Result<void> check_mtu(const NetworkOptions& network) {
  const std::size_t least = network.ipv6 ? 1280 : 576;  // RFC 8200 5, RFC 791 3.1
  if (network.mtu >= least && network.mtu <= 65520) return {};
  return usage("--mtu " + std::to_string(network.mtu) + " is out of range",
               "it is 1280 to 65520 bytes, with --no-ipv6 from 576");
}

Result<void> take_mtu(NetworkOptions& network, const std::string& text) {
  const auto bytes = parse_port(text);  // a number of the same size
  if (!bytes) return usage("--mtu '" + text + "' is not a number of bytes", "it is 1280 to 65520");
  network.mtu = *bytes;
  return {};
}

Result<void> take_workers(NetworkOptions& network, const std::string& text) {
  const std::size_t processors = std::max(1u, std::thread::hardware_concurrency());
  const auto number = text == "auto" ? std::min(processors, ample_workers) : parse_port(text).value_or(0);
  if (number < 1 || number > max_queues)
    return usage("--workers '" + text + "' is not a valid number of threads",
                 "it is 1 to " + std::to_string(max_queues) + ", or auto");
  network.queues = number;
  return {};
}

Result<void> take_memory(std::size_t& memory, const std::string& text) {
  const auto bytes = parse_size(text);
  if (!bytes || *bytes < MemoryBudget::min_limit)
    return usage("invalid --network-memory '" + text + "'",
                 "expected a size of at least 64MiB, such as 512MiB");
  memory = *bytes;
  return {};
}

Result<void> take_device(DeviceKind& kind, const std::string& text) {
  return choose<DeviceKind>(
      kind, "--device", text,
      {{{"auto", DeviceKind::automatic}, {"tun", DeviceKind::tun}, {"veth", DeviceKind::veth}}});
}

Result<void> take_acceleration(Acceleration& acceleration, const std::string& text) {
  return choose<Acceleration>(
      acceleration, "--accelerate", text,
      {{{"auto", Acceleration::automatic}, {"on", Acceleration::on}, {"off", Acceleration::off}}});
}

struct Texts {
  PolicyOptions policy;
  std::vector<std::string> publish, forwards;
  std::string network, network6, mtu, device, workers, memory, latency, accelerate;
  bool no_ipv6 = false, no_resolv_conf = false, version = false, help = false;
};

void declare(CLI::App& app, RunOptions& options, Texts& texts) {
  app.set_help_flag();
  app.prefix_command();
  app.add_option("-p,--publish", texts.publish)->allow_extra_args(false);
  app.add_option("--forward", texts.forwards)->allow_extra_args(false);
  texts.policy.declare(app);
  app.add_flag("--host-loopback", options.host_loopback);
  app.add_option("--dial", options.dial)->take_last();
  app.add_option("--log", options.log)->take_last();
  app.add_flag("--accelerate{on}", texts.accelerate)->take_last();
  app.add_option("--pcap", options.capture)->take_last();
  app.add_option("--control", options.control)->take_last();
  app.add_flag("--summary", options.summary);
  app.add_flag("--map-root", options.map_root);
  app.add_flag("--map-auto", options.map_auto);
  app.add_flag("--pid", options.pid);
  app.add_flag("--uts", options.uts);
  app.add_flag("--ipc", options.ipc);
  app.add_option("--allow-unix", options.allowed_unix)->allow_extra_args(false);
  app.add_flag("--linger", options.linger);
  app.add_option("--device", texts.device)->take_last();
  app.add_option("--mtu", texts.mtu)->take_last();
  app.add_option("--workers", texts.workers)->take_last();
  app.add_option("--network-memory", texts.memory)->take_last();
  app.add_option("--latency", texts.latency)->take_last();
  app.add_option("--network", texts.network)->take_last();
  app.add_option("--network6", texts.network6)->take_last();
  app.add_flag("--no-ipv6", texts.no_ipv6);
  app.add_flag("--no-resolv-conf", texts.no_resolv_conf);
  app.add_flag("-q,--quiet", options.quiet);
  app.add_flag("-V,--version", texts.version);
  app.add_flag("-h,--help", texts.help);
}

Result<void> finish(RunOptions& options, const Texts& texts) {
  options.resolv_conf = !texts.no_resolv_conf;
  options.network.ipv6 = !texts.no_ipv6;
  for (const auto& text : texts.publish) {
    auto ports = parse_publish(text);
    if (!ports) return ports.error();
    options.publish.insert(options.publish.end(), ports->begin(), ports->end());
  }
  for (const auto& text : texts.forwards) {
    auto forward = Forward::parse(text);
    if (!forward) return forward.error();
    options.forwards.push_back(std::move(*forward));
  }
  if (!texts.device.empty())
    if (auto taken = take_device(options.network.device_kind, texts.device); !taken) return taken;
  if (!texts.accelerate.empty())
    if (auto taken = take_acceleration(options.acceleration, texts.accelerate); !taken) return taken;
  if (!texts.workers.empty())
    if (auto taken = take_workers(options.network, texts.workers); !taken) return taken;
  if (!texts.memory.empty())
    if (auto taken = take_memory(options.memory, texts.memory); !taken) return taken;
  if (!texts.latency.empty())
    if (auto taken = choose_latency(options.latency, texts.latency); !taken) return taken;
  if (!texts.mtu.empty())
    if (auto taken = take_mtu(options.network, texts.mtu); !taken) return taken;
  if (!texts.network.empty())
    if (auto placed = place_network4(options.network, texts.network); !placed) return placed;
  if (!texts.network6.empty())
    if (auto placed = place_network6(options.network, texts.network6); !placed) return placed;
  return check_mtu(options.network);
}

Result<void> load(RunOptions& options) {
  if (options.policy.sources.empty()) return {};
  auto rules = load_for_sandbox(options.policy.sources);
  if (!rules) return rules.error();
  if ((*rules)->asks() && options.policy.ask.empty())
    return usage("the policy leaves flows to somebody who is asked, and there is nobody",
                 "give a program: --ask CMD");
  options.rules = std::move(*rules);
  return {};
}

}  // namespace

Result<RunOptions> parse_options(int argc, char** argv) {
  RunOptions options;
  Texts texts;
  CLI::App app;
  declare(app, options, texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();  // "--dial: 1 required TEXT missing"
    return usage(what.substr(0, what.find(':')) + " needs a value");
  } catch (const CLI::ParseError& error) {
    return usage(error.what());
  }
  if (texts.help) options.answer = help_text();
  if (texts.version) options.answer = "nsrun " NSRUN_VERSION "\n";
  if (!options.answer.empty()) return options;

  // CLI11 takes an unknown option for the beginning of the command: only "--" makes it one.
  options.command = app.remaining();
  const bool separated = !options.command.empty() && options.command.front() == "--";
  if (separated) options.command.erase(options.command.begin());
  if (options.command.empty() || options.command.front().empty())
    return usage("there is no command to run", "nsrun [OPTIONS] -- COMMAND; nsrun --help lists the options");
  if (!separated && options.command.front().starts_with("-"))
    return usage("unknown option '" + options.command.front() + "'");
  if (auto finished = finish(options, texts); !finished) return finished.error();
  auto policy = texts.policy.finish(app);
  if (!policy) return policy.error();
  options.policy = std::move(*policy);
  if (auto loaded = load(options); !loaded) return loaded.error();
  options.closed = options.rules && options.rules->denies_by_default();
  if (!options.closed && !options.allowed_unix.empty())
    return usage("--allow-unix leaves a unix socket reachable, and all are",
                 "the others are closed by --allow, --default deny and --deny '*'");
  return options;
}

}  // namespace nsrun
