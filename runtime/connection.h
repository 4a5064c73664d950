#pragma once

#include <memory>

#include "runtime/bytes.h"
#include "runtime/fd.h"
#include "runtime/flow_record.h"
#include "runtime/task.h"

namespace nsrun {

// What one read gave.
struct Chunk {
  std::size_t size = 0;  // bytes put into the caller's buffer; an empty datagram is size 0, not the end
  bool end = false;      // nothing more will come (size is then 0)
};

enum class Transport { stream, datagram };

// One end of a flow: a conversation with the guest, a socket, a tunnel's stream, a function in a test.
// At most one read and one write are under way at a time. Destroying it closes it, both ways.
class Connection {
 public:
  virtual ~Connection() = default;

  // A datagram connection keeps boundaries: each read and each write is one datagram, up to 65,535 bytes.
  // For icmp a datagram is one echo message: its header (RFC 792; RFC 4443 4.1), whose checksum and
  // identifier nobody reads, and its data.
  virtual Transport transport() const { return Transport::stream; }

  // Waits for bytes, or the end. An error means the connection broke (a reset, for instance).
  virtual Task<Result<Chunk>> read(MutableBytes into) = 0;
  // Waits until all bytes are taken.
  virtual Task<Result<void>> write(Bytes bytes) = 0;
  // We shall write nothing more (FIN). Reading goes on.
  virtual void finish() = 0;
  // Breaks the connection at once, both ways (RST).
  virtual void reset() = 0;

  // ---- The fast path. Taking both away leaves every flow working, only slower.

  // The kernel socket that *is* this connection (every byte there is a byte here), or -1.
  virtual int socket() const { return -1; }
  // The kernel socket that carries this connection, whatever is done to its bytes on the way, or -1: it tells
  // when the other end has gone.
  virtual int carrier_socket() const { return socket(); }
  // Gives that socket away; the connection is done for.
  virtual UniqueFd release_socket() { return {}; }
  // Carries the flow on between here and the kernel socket `far`, in batches of its own, until both
  // directions are done; `record` goes with it. `far_asked`: the flow began at the far end. Takes its
  // arguments only when it returns true.
  virtual bool carry_on(UniqueFd& far, std::unique_ptr<FlowRecord>& record, bool far_asked) {
    (void)far, (void)record, (void)far_asked;
    return false;
  }
};

// Somebody asks for a connection and waits. Exactly one of accept and refuse is called, once; a request
// that goes without either is dropped in silence.
class Request {
 public:
  virtual ~Request() = default;
  virtual const FlowKey& key() const = 0;
  // Who asks, for the record, where key().source cannot say it: "vsock://3:1025".
  virtual SharedText asker() const { return {}; }
  // The kernel socket at which the asker waits, or -1: it tells when they leave. Open until the request is
  // accepted or refused.
  virtual int socket() const { return -1; }
  // The asker has an IPv6 socket and takes such a one only, even to IPv4 (Target::mapped).
  virtual bool wants_mapped() const { return false; }
  // The far side has answered, with this. A request whose asker has to be made ready for such an end gives a
  // task, to be awaited before accept(). `inspected`: what the asker sends has to come by here.
  virtual std::optional<Task<>> prepare(const Connection& far, bool inspected) {
    (void)far, (void)inspected;
    return std::nullopt;
  }
  // The asker's end, or null when the asker has left meanwhile.
  virtual std::unique_ptr<Connection> accept() = 0;
  virtual void refuse(Refusal how) = 0;
};

// Where requests go: Carrier::carry, in the end.
using RequestSink = std::function<void(std::unique_ptr<Request>)>;

}  // namespace nsrun
