#pragma once

#include <memory>
#include <string>

#include "host/tunnel/frame.h"
#include "host/tunnel/stream_state.h"

namespace nsrun {

class TunnelSession;

// A stream that the far side asks for. Exactly one of accept and refuse is called; one that goes without
// either is refused in silence.
class IncomingStream {
 public:
  IncomingStream(TunnelSession& session, bool session_binary, std::shared_ptr<tunnel::StreamState> stream,
                 tunnel::Frame asked)
      : session_(session), is_binary_(session_binary), stream_(std::move(stream)), asked_(std::move(asked)) {}
  ~IncomingStream();
  IncomingStream(const IncomingStream&) = delete;

  // What is asked for: a frame of the type open or connect.
  const tunnel::Frame& asked() const { return asked_; }
  Transport transport() const { return stream_->transport; }
  bool is_binary() const { return is_binary_; }
  std::unique_ptr<Connection> accept();  // null: the far side has left meanwhile
  void refuse(tunnel::Reason reason);

 private:
  TunnelSession& session_;                       // gone where stream_->hub is null
  const bool is_binary_;                         // its wire
  std::shared_ptr<tunnel::StreamState> stream_;  // null: it was answered
  const tunnel::Frame asked_;
};

// What a session's owner does about what the far side says. Called by the reader: nothing here may wait.
class TunnelEvents {
 public:
  virtual ~TunnelEvents() = default;
  // A server is asked to listen, or not to any more: by listener, in JSON by port.
  virtual void asked_to_listen(const tunnel::Frame& frame) { (void)frame; }
  virtual void asked_to_stop(std::uint32_t listener) { (void)listener; }
  // listen_ok or listen_err.
  virtual void listen_answered(const tunnel::Frame& frame) { (void)frame; }
  virtual void stream_asked(std::unique_ptr<IncomingStream> arrival) = 0;
  virtual void trouble(const std::string& what) { (void)what; }
};

}  // namespace nsrun
