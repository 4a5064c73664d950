#include "cmd/service/forward_command.h"

#include "cmd/reporter.h"
#include "cmd/service/service_command.h"
#include "host/forward/forwarder.h"

namespace nsrun {
namespace {

constexpr auto forward_text = R"(nsrun forward connects clients of one endpoint to another.

  nsrun forward [OPTIONS] LISTEN=DIAL...

  tcp://HOST:PORT  udp://HOST:PORT   no HOST, or *: all addresses of a listener
  tls://HOST:PORT?cert=FILE&key=FILE[&ca=FILE][&alpn=a,b]
                            listens; with ca it accepts only clients with a
                            certificate signed by that authority
  tls://HOST:PORT[?ca=FILE][&cert=FILE&key=FILE][&alpn=a,b][&name=HOST][&verify=no]
                            dials; the server has to prove that it is HOST
  unix:///PATH  unix+dgram:///PATH   ?mode=0660 of a listener's file
  vsock://CID:PORT          a virtual machine, or from inside host or any
  hvsock:///PATH:PORT       the same at the unix socket of Firecracker's or
                            Cloud Hypervisor's vsock device

)" SERVICE_HELP;

class Forwarding final : public Serving {
 public:
  explicit Forwarding(Service& service) : service_(service), forwarder_(service.executor(), false) {}
  Result<void> add(const Forward& forward) { return forwarder_.add(forward); }
  Task<Result<void>> begin() override {
    forwarder_.begin(service_.forward_parts());
    co_return Result<void>{};
  }

 private:
  Service& service_;
  Forwarder forwarder_;
};

}  // namespace

const char* forward_help() { return forward_text; }

int forward_command(int argc, char** argv) {
  CLI::App app;
  ServiceOptions options;
  std::vector<std::string> words;
  options.declare(app);
  app.add_option("forward", words);
  if (const auto status = parse_words(app, argc, argv, forward_text)) return *status;
  if (words.empty())
    return fail({"there is nothing to forward",
                 {},
                 "nsrun forward LISTEN=DIAL, for instance tcp://127.0.0.1:8080=unix:///run/app.sock",
                 ExitCode::usage});
  std::vector<Forward> forwards;
  for (const auto& word : words) {
    auto forward = Forward::parse(word);
    if (!forward) return fail(forward.error());
    forwards.push_back(std::move(*forward));
  }
  return serve(options, [&](Service& service) -> Result<std::unique_ptr<Serving>> {
    auto forwarding = std::make_unique<Forwarding>(service);
    for (const auto& forward : forwards)
      if (auto added = forwarding->add(forward); !added) return added.error();
    return forwarding;
  });
}

}  // namespace nsrun
