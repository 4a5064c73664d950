#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/tunnel/tunnel_session.h"
#include "tests/support/dialers_loop.h"

namespace nsrun::test {

// One side of a tunnel: keeps what the far side asks for until the test takes it.
struct TunnelEnd final : TunnelEvents {
  void asked_to_listen(const tunnel::Frame& frame) override { heard.push_back(frame); }
  void asked_to_stop(std::uint32_t listener) override {
    heard.push_back({.type = tunnel::Frame::Type::unlisten, .listener = listener});
  }
  void listen_answered(const tunnel::Frame& frame) override { heard.push_back(frame); }
  void stream_asked(std::unique_ptr<IncomingStream> arrival) override {
    arrivals.push_back(std::move(arrival));
  }
  void trouble(const std::string& what) override { troubles.push_back(what); }

  // The next that the far side asked for.
  Task<std::unique_ptr<IncomingStream>> next();

  std::unique_ptr<TunnelSession> session;
  std::vector<tunnel::Frame> heard;
  std::vector<std::unique_ptr<IncomingStream>> arrivals;
  std::vector<std::string> troubles;
  std::optional<Error> ended;
};

// Both sides, over a real WebSocket in memory.
struct TunnelEnds {
  explicit TunnelEnds(Loop& loop, bool binary = true) : loop_(loop), binary_(binary) {}
  // Opens it. The sessions run beside the test.
  static constexpr TunnelSession::Options client_options{TunnelSession::Role::client, {}, {}};
  static constexpr TunnelSession::Options server_options{TunnelSession::Role::server, {}, {}};
  Task<> open(TunnelSession::Options client = client_options, TunnelSession::Options server = server_options);
  // A stream from the server to the client, and its two ends.
  struct Stream {
    std::unique_ptr<Connection> near, far;  // the server's, the client's
  };
  Task<Stream> stream(Transport transport = Transport::stream);

  TunnelEnd client, server;

 private:
  static Task<> run(TunnelEnd& end);
  Loop& loop_;
  const bool binary_;
};

Task<std::string> read_to_end(Connection& connection);
Task<> write_text(Connection& connection, std::string text);

}  // namespace nsrun::test
