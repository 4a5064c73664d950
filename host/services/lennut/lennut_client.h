#pragma once

#include <deque>
#include <memory>

#include "host/endpoints/endpoint_url.h"
#include "host/forward/forward.h"
#include "host/services/service.h"

namespace nsrun {

// The inner side of a lennut tunnel: keeps connections waiting at the server, and carries what comes by them
// to one place. A source of requests.
class LennutClient {
 public:
  struct Options {
    EndpointUrl server;    // where the server awaits its clients
    EndpointUrl to;        // where what comes is dialled
    std::size_t idle = 8;  // connections kept waiting, at most: one at first, more once they are used
    // After the nth failure in a row (from 0) the next attempt is made in base^n seconds, `most` at most.
    double base = 1.5;
    Clock::duration most = 10s;
  };

  // An error: an endpoint cannot be dialled, ever. `service` outlives the client.
  static Result<std::unique_ptr<LennutClient>> make(Service& service, Options options);

  // From here on, until the service's sources end.
  void begin();
  // Until a connection waits at the server.
  Task<> connected() { return connected_.wait(); }

 private:
  struct Place;

  LennutClient(Service& service, Options options, std::unique_ptr<Dialer> server);
  Task<> keep_waiting();
  Task<> attempt(std::unique_ptr<Place> place);
  Task<> wait_for_header(std::unique_ptr<Place> place, std::unique_ptr<Connection> connection);
  static Task<Result<void>> read_header(Connection& connection);
  void carry(std::unique_ptr<Connection> connection);
  void failed(const Place& place, const Error& error);
  void stands();
  Clock::duration pause() const;

  Service& service_;
  const Options options_;
  const std::unique_ptr<Dialer> server_;
  const Target server_target_;
  AllowTo policy_;
  Carrier carrier_;
  void grow();
  std::size_t wanted_ = 1;              // of options_.idle
  std::deque<Clock::time_point> used_;  // lately: when connections got their header
  std::size_t open_ = 0;                // connections that wait, or are being made
  unsigned failures_ = 0;               // in a row
  Signal changed_, connected_;
};

}  // namespace nsrun
