#pragma once

#include "host/sandbox/inject/injector.h"

namespace nsrun {

// A connect of the guest's that waits for policy and dialer, as a SYN does in the stack. Once it has been
// moved to the device it goes on as the request that its SYN became there.
class InjectedRequest final : public Request {
 public:
  InjectedRequest(Injector& injector, GuestConnect connect, FlowKey key);
  ~InjectedRequest() override;

  const FlowKey& key() const override { return key_; }
  bool wants_mapped() const override { return wants_mapped_; }
  std::optional<Task<>> prepare(const Connection& far, bool inspected) override;
  std::unique_ptr<Connection> accept() override;
  void refuse(Refusal how) override;

  // Connects the guest's own socket, so that a SYN goes through the device; a non-blocking call, or one whose
  // time is up, ends.
  void move_to_device(bool call_ends);
  // From time to time while the dial is under way: lets a signal through, and notes who has left.
  void look_after_caller();
  // The SYN came.
  void continued_by(MovedRequest syn);
  // The call was interrupted, and the guest makes it again.
  bool resumed_by(GuestConnect& again);
  const std::shared_ptr<Signal>& ended() const { return ended_; }  // raised when the request goes

 private:
  enum class State {
    asked,  // and not answered; the caller may have been interrupted meanwhile
    moved,
    over  // answered, or nobody is there to be
  };
  bool may_take(const Connection& far) const;
  Task<> successor_comes();
  bool waits() const { return injector_.listener_.waits(connect_.call.id); }
  bool has_left();
  void leave();
  void forget_call();
  void forget();

  Injector& injector_;
  GuestConnect connect_;
  const std::uint64_t inode_;
  const int family_;
  const FlowKey key_;
  std::optional<CountGuard> open_, unattended_;
  State state_ = State::asked;
  FlowKey moved_key_;  // as the stack will know it
  const bool wants_mapped_;
  std::optional<MovedRequest> successor_;
  Signal came_;
  std::shared_ptr<Signal> ended_;
};

// The guest's end of an injected flow: it only ever takes the far socket.
class InjectedConnection final : public Connection {
 public:
  InjectedConnection(Injector& injector, GuestConnect connect)
      : injector_(injector), connect_(std::move(connect)) {}
  ~InjectedConnection() override;

  Task<Result<Chunk>> read(MutableBytes into) override;
  Task<Result<void>> write(Bytes bytes) override;
  void finish() override {}
  void reset() override {}
  bool carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool far_asked) override;

 private:
  Injector& injector_;
  GuestConnect connect_;
  bool done_ = false;
};

}  // namespace nsrun
