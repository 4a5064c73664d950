#pragma once

#include <memory>

#include "host/tunnel/tunnel_connector.h"
#include "host/tunnel/tunnel_session.h"

namespace nsrun {

// A client's session, opened again when it ends.
class TunnelLink {
 public:
  struct Options {
    Clock::duration ping_interval = 30s;  // 0: none; a server that says nothing for two of them is gone
    bool reconnects = false;
    Clock::duration stall_limit = tunnel::limits::stall_limit;  // TunnelSession::Options has what it means
    Clock::duration backoff_min = 1s, backoff_max = 5s;  // between attempts, doubled; the first is at once
  };
  // Whose the link is.
  class User : public TunnelEvents {
   public:
    virtual void link_up(TunnelSession& session) { (void)session; }
    virtual void link_down(const Error& why) { (void)why; }
  };

  // `user` outlives the link.
  TunnelLink(Executor executor, std::unique_ptr<TunnelConnector> connector, Options options, User& user);

  Task<Result<void>> connect();  // one attempt
  // What was connected is carried; to the end, or where it reconnects until it was closed or is cancelled.
  Task<Error> run();
  TunnelSession* session() { return session_.get(); }  // null: there is none at the moment
  void close(std::uint16_t code);
  void close_when_idle(std::uint16_t code);

 private:
  Clock::duration pause(unsigned attempt) const;
  Task<> carry(TunnelSession& session, Error& why);
  Task<> watch_network(TunnelSession& session);
  Task<> connect_after(Clock::duration wait, Error& why);

  const Executor executor_;
  const std::unique_ptr<TunnelConnector> connector_;
  const Options options_;
  User& user_;
  std::unique_ptr<TunnelSession> session_;
  bool closing_ = false;
  Signal told_to_close_;
};

}  // namespace nsrun
