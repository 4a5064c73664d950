// What only TLS has: certificates, names, protocols, ends.

#include <array>
#include "tests/support/catch.h"

#include "host/flow/memory_pipe.h"
#include "host/tls/certificate_authority.h"
#include "host/tls/tls_connection.h"
#include "tests/support/dialers_far_side.h"

namespace nsrun::test {
namespace {

// Both ends of one connection, or why there is none.
struct Ends {
  TlsResult client = Error{}, server = Error{};
};

Task<> connect(TlsResult& end, std::unique_ptr<Connection> inner, const TlsContext& context,
               std::string server) {
  end = co_await tls_connect(std::move(inner), context, std::move(server));
}
Task<> accept(TlsResult& end, std::unique_ptr<Connection> inner, const TlsContext& context) {
  end = co_await tls_accept(std::move(inner), context);
}

Task<> meet(Loop& loop, Ends& ends, const TlsContext& client, const TlsContext& server, std::string name,
            std::size_t capacity = memory_pipe_capacity) {
  auto [near, far] = memory_pipe(loop.executor(), Transport::stream, capacity);
  co_await both(connect(ends.client, std::move(near), client, std::move(name)),
                accept(ends.server, std::move(far), server));
}

struct Authority {
  CertificateAuthority signs = CertificateAuthority::create("test authority").value();
  std::string asked_for = "nothing";

  std::unique_ptr<TlsContext> server(TlsServerOptions options = {}) {
    if (!options.identity)
      options.identity = [this](const std::string& name) {
        asked_for = name;
        return signs.identity_for(name.empty() ? "192.0.2.1" : name);
      };
    return TlsContext::server(std::move(options)).value();
  }
  std::unique_ptr<TlsContext> client(TlsClientOptions options = {}) {
    if (options.trusted.empty()) options.trusted = signs.pem();
    return TlsContext::client(std::move(options)).value();
  }
};

Task<std::string> exchange(Connection& from, Connection& to) {
  co_await write_all(from, "words");
  from.finish();
  co_return co_await read_all(to);
}

Task<> proves_its_name(Loop& loop, std::string name, std::string asked_for) {
  Authority authority;
  const auto client = authority.client();
  const auto server = authority.server();
  Ends ends;
  co_await meet(loop, ends, *client, *server, name);
  REQUIRE(ends.client.has_value());
  REQUIRE(ends.server.has_value());
  CHECK(authority.asked_for == asked_for);
  CHECK((*ends.server)->server_name() == asked_for);
  const auto words = co_await exchange(**ends.client, **ends.server);
  CHECK(words == "words");
}

Task<> another_name(Loop& loop) {
  Authority authority;
  const auto client = authority.client();
  const auto server = authority.server(
      {.identity = [&](const std::string&) { return authority.signs.identity_for("other.example"); }});
  Ends ends;
  co_await meet(loop, ends, *client, *server, "server.example");
  REQUIRE(!ends.client);
  CHECK(ends.client.error().code == errno_code(EACCES));
  CHECK(ends.client.error().message().find("ostname mismatch") != std::string::npos);
}

Task<> another_authority(Loop& loop) {
  Authority authority, stranger;
  const auto client = authority.client();
  const auto server = stranger.server();
  Ends ends;
  co_await meet(loop, ends, *client, *server, "server.example");
  REQUIRE(!ends.client);
  CHECK(ends.client.error().code == errno_code(EACCES));
  // The client's alert has come.
  REQUIRE(!ends.server);
  CHECK(ends.server.error().message().find("unknown ca") != std::string::npos);
}

Task<> unverified(Loop& loop) {
  Authority authority, stranger;
  const auto client = authority.client({.verify = false});
  const auto server = stranger.server();
  Ends ends;
  co_await meet(loop, ends, *client, *server, "server.example");
  CHECK(ends.client.has_value());
}

Task<> protocols(Loop& loop, std::vector<std::string> offered, std::string chosen, bool agreed) {
  Authority authority;
  const auto client = authority.client({.protocols = std::move(offered)});
  const auto server = authority.server(
      {.choose_protocol = [](const std::vector<std::string>& offer) -> std::optional<std::string> {
        for (const auto& protocol : offer)
          if (protocol == "http/1.1") return protocol;
        return std::nullopt;
      }});
  Ends ends;
  co_await meet(loop, ends, *client, *server, "server.example");
  REQUIRE(ends.client.has_value() == agreed);
  if (!agreed) co_return;
  CHECK((*ends.client)->protocol() == chosen);
  CHECK((*ends.server)->protocol() == chosen);
}

Task<> client_certificate(Loop& loop, bool shown) {
  Authority authority;
  const auto client =
      authority.client({.identity = shown ? authority.signs.identity_for("a client") : nullptr});
  const auto server = authority.server({.clients_trusted = authority.signs.pem()});
  Ends ends;
  co_await meet(loop, ends, *client, *server, "server.example");
  CHECK(ends.server.has_value() == shown);
}

Task<> cut_off(Loop& loop) {
  Authority authority;
  const auto client = authority.client();
  const auto server = authority.server();
  Ends ends;
  co_await meet(loop, ends, *client, *server, "server.example");
  co_await write_all(**ends.server, "half a senten");
  ends.server = Error{};
  std::array<std::byte, 64> buffer;
  const auto first = co_await (*ends.client)->read(buffer);
  const auto then = co_await (*ends.client)->read(buffer);
  CHECK(first->size == 13);
  REQUIRE(!then);
  CHECK(then.error().code == errno_code(ECONNRESET));
}

// The end has to wait until the reader makes room, and then comes.
Task<> end_waits(Loop& loop) {
  Authority authority;
  const auto client = authority.client();
  const auto server = authority.server();
  Ends ends;
  co_await meet(loop, ends, *client, *server, "server.example", 4096);
  // A record of one byte has 23 (RFC 8446 5.2), and each piece in the pipe counts for 64 more: after 47 there
  // is room for 7 bytes, and the end has 24.
  for (int i = 0; i < 47; ++i) co_await write_all(**ends.server, "x");
  (*ends.server)->finish();
  const auto all = co_await read_all(**ends.client);
  co_await (*ends.server)->end_sent();
  CHECK(all == std::string(47, 'x'));
}

TEST_CASE("a TLS server proves the name it was asked for, or its address", "[tls]") {
  Loop loop;
  loop.run(proves_its_name(loop, "server.example", "server.example"));
  loop.run(proves_its_name(loop, "192.0.2.1", ""));
}

TEST_CASE("a TLS server with another's certificate is not believed", "[tls]") {
  Loop loop;
  loop.run(another_name(loop));
  loop.run(another_authority(loop));
}

TEST_CASE("a TLS client that verifies nothing takes any server", "[tls]") {
  Loop loop;
  loop.run(unverified(loop));
}

TEST_CASE("TLS ends agree on a protocol, or on none, or not at all", "[tls]") {
  Loop loop;
  loop.run(protocols(loop, {"h2", "http/1.1"}, "http/1.1", true));
  loop.run(protocols(loop, {}, "", true));
  loop.run(protocols(loop, {"h2"}, "", false));
}

TEST_CASE("a TLS server that wants a client's certificate refuses who has none", "[tls]") {
  Loop loop;
  loop.run(client_certificate(loop, true));
  loop.run(client_certificate(loop, false));
}

TEST_CASE("a TLS stream that is cut off is not taken for whole", "[tls]") {
  Loop loop;
  loop.run(cut_off(loop));
}

// A record of TLS that says it holds 16 KiB of a handshake message.
std::string endless_handshake() {
  return std::string("\x16\x03\x01\x40\x00", 5) + std::string("\x01\x00\x3f\xfc", 4) +
         std::string(trickled, '\0');
}

template <class Handshake>
Task<> ends_at_the_limit(Loop& loop, Handshake shake_hands) {
  auto [near, far] = memory_pipe(loop.executor(), Transport::stream);
  const auto began = Clock::now();
  TlsResult end = Error{};
  const auto first = [&]() -> Task<> { end = co_await shake_hands(std::move(near)); };
  co_await either(first(), trickle(*far, endless_handshake()));
  REQUIRE(!end);
  CHECK(end.error().code == errno_code(ETIMEDOUT));
  CHECK(Clock::now() - began < trickle_pause * trickled);
}

TEST_CASE("a TLS peer that sends a byte now and then gets no longer than the limit", "[tls]") {
  Loop loop;
  Authority authority;
  const auto client = authority.client(), server = authority.server();
  loop.run(ends_at_the_limit(loop, [&](std::unique_ptr<Connection> inner) {
    return tls_connect(std::move(inner), *client, "a.example", trickle_limit);
  }));
  loop.run(ends_at_the_limit(loop, [&](std::unique_ptr<Connection> inner) {
    return tls_accept(std::move(inner), *server, trickle_limit);
  }));
}

TEST_CASE("the end of a TLS stream waits for room", "[tls]") {
  Loop loop;
  loop.run(end_waits(loop));
}

}  // namespace
}  // namespace nsrun::test
