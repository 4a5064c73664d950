// A dialer owns no scope, and its session has tasks: they share what they need with it (Link), and are
// cancelled when it goes.
//
// Whoever dials while there is no session has one opened, or waits for the one that is being opened; if that
// fails all who wait get its error, and the next to dial tries again.

#include "host/tunnel/tunnel_dialer.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include "host/endpoints/endpoint_tls.h"
#include "host/text/url_text.h"
#include "host/tunnel/token_file.h"
#include "host/tunnel/tunnel_link.h"

namespace nsrun {
namespace {

using Dialled = Result<std::unique_ptr<Connection>>;

constexpr std::string_view tunnel_prefix = "tunnel+";

struct Link final : TunnelLink::User {
  Link(Executor executor, std::unique_ptr<TunnelConnector> connector)
      : tunnel(executor, std::move(connector), {}, *this), changed(executor, Clock::time_point::max()) {}
  // Nobody is to come to us.
  void stream_asked(std::unique_ptr<IncomingStream> arrival) override {
    arrival->refuse(tunnel::Reason::prohibited);
  }
  void link_up(TunnelSession&) override {
    is_opening = false;
    changed.cancel();
  }

  TunnelLink tunnel;
  bool is_opening = false;
  Error failure;  // of the last attempt
  std::size_t attempts = 0;
  Timer changed;  // never expires; cancelled when an attempt has ended
  asio::cancellation_signal cancel;
};

Task<> carry(std::shared_ptr<Link> link) {
  const auto connected = co_await link->tunnel.connect();
  if (connected) {
    (void)co_await link->tunnel.run();
    co_return;
  }
  link->failure = connected.error();
  link->attempts += 1;
  link->is_opening = false;
  link->changed.cancel();
}

class TunnelDialer final : public Dialer {
 public:
  TunnelDialer(Executor executor, std::shared_ptr<Link> link) : executor_(executor), link_(std::move(link)) {}
  ~TunnelDialer() override { link_->cancel.emit(asio::cancellation_type::terminal); }
  Task<Dialled> dial(const Target& target) override;

 private:
  void open();
  const Executor executor_;
  const std::shared_ptr<Link> link_;
};

void TunnelDialer::open() {
  link_->is_opening = true;
  // The signal outlives the task: Asio still lets go of the slot once the coroutine is gone.
  auto ended = [keep = link_](std::exception_ptr) {};
  asio::co_spawn(executor_, carry(link_),
                 asio::bind_cancellation_slot(link_->cancel.slot(), std::move(ended)));
}

Task<Dialled> TunnelDialer::dial(const Target& target) {
  if (target.protocol == Protocol::icmp)
    co_return Error{"a tunnel cannot carry " + target.to_string(), errno_code(EPROTONOSUPPORT)};
  const auto link = link_;
  if (!link->tunnel.session() && !link->is_opening) open();
  const auto attempts = link->attempts;
  while (!link->tunnel.session() && link->attempts == attempts) co_await link->changed.async_wait(use_result);
  if (!link->tunnel.session()) co_return link->failure;
  tunnel::Frame asked{
      .type = tunnel::Frame::Type::open, .protocol = target.protocol, .text = target.to_string()};
  const auto transport = target.protocol == Protocol::tcp ? Transport::stream : Transport::datagram;
  co_return co_await link->tunnel.session()->open(std::move(asked), transport);
}

Error misuse(std::string what) {
  return {"not a dialer: " + std::move(what),
          {},
          "write it as tunnel+wss://[TOKEN@]HOST[:PORT]/[?token-file=FILE&ca=FILE&cert=FILE&key=FILE]",
          ExitCode::usage};
}

// What the query says beside those options belongs to the server.
struct Options {
  EndpointUrl tls;  // of which only the options count
  std::string token_file;
};

Options take_options(boost::urls::url& url) {
  Options options;
  auto params = url.params();
  for (auto at = params.begin(); at != params.end();) {
    const auto option = *at;
    const std::string key(option.key), value(option.value);
    const bool of_tls = key == "ca" || key == "cert" || key == "key" || key == "verify";
    if (!of_tls && key != "token-file") {
      ++at;
      continue;
    }
    (of_tls ? options.tls.options[key] : options.token_file) = value;
    at = params.erase(at);
  }
  if (params.empty()) url.remove_query();
  return options;
}

}  // namespace

bool is_tunnel_url(std::string_view url) {
  return url.starts_with("tunnel+ws://") || url.starts_with("tunnel+wss://");
}

Result<std::unique_ptr<Dialer>> tunnel_dialer(std::string_view text, Executor executor) {
  const auto inner = text.substr(tunnel_prefix.size());
  const auto parsed = boost::urls::parse_uri({inner.data(), inner.size()});
  if (!parsed) return misuse("the tunnel URL is malformed");
  boost::urls::url url(*parsed);
  const Options options = take_options(url);
  auto address = TunnelAddress::parse(std::string(url.buffer()));
  if (!address) return misuse(address.error().doing);
  TunnelAccess access;
  if (address->tls) {
    auto tls = tls_client_options(options.tls);
    if (!tls) return tls.error();
    access.tls = std::move(*tls);
  }
  auto token = read_token(options.token_file);
  if (!token) return token.error();
  access.token = std::move(*token);
  auto connector = TunnelConnector::create(executor, std::move(*address), std::move(access));
  if (!connector) return connector.error();
  auto link = std::make_shared<Link>(executor, std::move(*connector));
  return std::make_unique<TunnelDialer>(executor, std::move(link));
}

}  // namespace nsrun
