#include "tests/support/tunnel_ends.h"

#include "host/flow/memory_pipe.h"
#include "host/tunnel/upgrade.h"

namespace nsrun::test {
namespace {

Task<> give(std::unique_ptr<Connection> connection, std::optional<Result<TunnelSocket>>& given) {
  const UpgradeRules rules;
  given = co_await give_tunnel(std::move(connection), rules);
}

Task<> ask(std::unique_ptr<Connection> connection, bool binary, std::optional<Result<TunnelSocket>>& given) {
  UpgradeRequest request;
  request.host = "tunnel";
  request.offers_binary = binary;
  given = co_await ask_for_tunnel(std::move(connection), std::move(request));
}

}  // namespace

Task<std::unique_ptr<IncomingStream>> TunnelEnd::next() {
  while (arrivals.empty()) co_await give_way();
  auto arrival = std::move(arrivals.front());
  arrivals.erase(arrivals.begin());
  co_return arrival;
}

Task<> TunnelEnds::run(TunnelEnd& end) {
  Error why = co_await end.session->run();
  end.ended = std::move(why);
}

Task<> TunnelEnds::open(TunnelSession::Options of_client, TunnelSession::Options of_server) {
  auto [one, other] = memory_pipe(loop_.executor(), Transport::stream);
  std::optional<Result<TunnelSocket>> near, far;
  co_await both(give(std::move(one), near), ask(std::move(other), binary_, far));
  for (auto [end, socket, options] :
       {std::tuple(&server, &near, of_server), std::tuple(&client, &far, of_client)}) {
    TunnelSocket opened = std::move(**socket).value();
    end->session = std::make_unique<TunnelSession>(loop_.executor(), std::move(opened.socket),
                                                   opened.is_binary, options, *end);
    loop_.beside.spawn(run(*end));
  }
}

Task<TunnelEnds::Stream> TunnelEnds::stream(Transport transport) {
  Stream made;
  tunnel::Frame asked{.type = tunnel::Frame::Type::connect, .listener = 1, .port = 80};
  if (transport == Transport::datagram) asked.protocol = Protocol::udp;
  const auto accept = [](TunnelEnds& ends, Stream& into) -> Task<> {
    auto arrival = co_await ends.client.next();
    into.far = arrival->accept();
  };
  const auto dial = [](TunnelEnds& ends, Stream& into, tunnel::Frame frame, Transport kind) -> Task<> {
    auto opened = co_await ends.server.session->open(std::move(frame), kind);
    if (opened) into.near = std::move(*opened);
  };
  co_await both(accept(*this, made), dial(*this, made, asked, transport));
  co_return made;
}

Task<std::string> read_to_end(Connection& connection) {
  std::string all;
  std::vector<std::byte> buffer(65'536);
  for (;;) {
    const auto chunk = co_await connection.read(buffer);
    if (!chunk) co_return all + "<" + chunk.error().code.message() + ">";
    if (chunk->end) co_return all;
    all += as_text(Bytes(buffer).first(chunk->size));
  }
}

Task<> write_text(Connection& connection, std::string text) {
  (void)co_await connection.write(as_bytes(text));
}

}  // namespace nsrun::test
