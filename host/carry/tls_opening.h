#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/carry/client_hello.h"

namespace nsrun {

// Whether a host name (canonical) may be reached. Empty: all may.
using NameCheck = std::function<bool(const std::string&)>;

// What a TLS client has to say.
struct TlsExpectation {
  bool only_tls = false;   // what is not TLS does not agree
  std::string name = {};   // the server name, canonical; empty: the flow is to an address
  NameCheck permits = {};  // of an address: asked of the server name, where there is one
};

// The beginning of a stream that may be TLS: which of the guest's bytes may go on, and when all may. Pure.
class TlsOpening {
 public:
  explicit TlsOpening(TlsExpectation expected) : expected_(std::move(expected)) {}

  // What each side sends, as it comes, until agreed(). Errors: it does not agree.
  Result<void> from_guest(Bytes more);
  Result<void> guest_ended();
  Result<void> from_far(Bytes more);
  Result<void> far_ended();

  // Whatever comes from now on may go on: it is not inspected any more.
  bool agreed() const { return state_ == State::agreed; }
  // More from the guest can be held. If not, the far side is to answer first.
  bool has_room() const { return agreed() || held_.size() < max_hello; }
  // Bytes of the guest's that may go on, and are not held any more.
  std::vector<std::byte> take();
  // The server name that was seen last.
  const std::string& server_name() const { return server_name_; }

 private:
  enum class State { first_hello, answer, second_hello, agreed };
  Result<void> advance();
  Result<void> read_beginning();
  Result<void> read_answer();
  Result<void> read_hello(State next);
  Result<void> check(const ClientHello& hello);
  Bytes held() const { return Bytes(held_).subspan(open_); }

  const TlsExpectation expected_;
  State state_ = State::first_hello;
  std::vector<std::byte> held_;
  std::size_t open_ = 0;  // bytes of `held_`, from its front, that may go on
  std::vector<std::byte> answer_;
  bool guest_ended_ = false, far_ended_ = false;
  std::string server_name_;
};

}  // namespace nsrun
