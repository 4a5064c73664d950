#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/fd.h"
#include "runtime/result.h"

// The words host and child exchange over one AF_UNIX SOCK_SEQPACKET socket, one record a message:
//
//   child                                 host
//   ── map_ids (uid, gid lines) ────────►           it is in its new user namespace, and waits
//   ◄──────────────────── ids_mapped ───            /proc/PID/{uid,gid}_map are written
//   ── device (its fds) ────────────────►           the network is set up; the host builds its stack
//   ◄────────────────── make_sockets ───            for what the host listens at in there, if anything
//   ── sockets (fds) ───────────────────►
//   ◄──────────────────────────── go ───            packets flow: the command may start
//   ── accelerate (fds) ────────────────►           accelerated or closed: connects are asked of the host
//   ── started ─────────────────────────►           exec succeeded
//   ◄─ signal / resume / make_sockets ──            while it runs
//   ── sockets (fds) / stopped ─────────►
//   ── exited (wait status) ────────────►           the command ended; the agent ends what is left
//   ── failed (exit code, words) ───────►           at any time before started: it gives up
//   ── warning (words) ─────────────────►           at any time: say this to the user
//
// The child of a library user starts at `device`. A child that keeps its device instead (a VM, another
// machine) sends `pump` in place of `device`; from then on every record is one raw IP packet, both ways.
//
// A guest that is root in its namespaces can speak in the agent's place, so the host believes nothing here:
// lengths are checked, unknown types are ignored, and no message grants more than the sandbox has.

namespace nsrun {

enum class MessageType : std::uint8_t {
  map_ids = 1,  // body: uid map lines, NUL, gid map lines (user_namespaces(7)); number: 1 to use newuidmap
  ids_mapped,   // body: empty, or why it failed; number: ExitCode
  device,       // fds: the TUN device, or a packet socket; number: MTU in bytes
  pump,         // number: MTU in bytes
  go,
  started,       // number: the command's pid in its own pid namespace
  signal,        // number: the signal to pass to the command
  stopped,       // number: the signal that stopped the command; body: which stop it was
  resume,        // body: the stop (as in stopped) that is over
  make_sockets,  // number: how many (1-16); body: address family, socket type as two bytes
  sockets,       // fds: the sockets; body: as in make_sockets
  exited,        // number: the command's status as nsrun reports it (128 + n for signal n)
  failed,        // number: ExitCode; body: one line
  warning,       // body: one line
  accelerate,    // fds: a seccomp listener (connect_trap.h), a UDP socket of the guest's for each IP version,
                 // closed: the socket that connect_unix is sent on; number: 1 where connects are only closed
  connect_unix,  // host to broker; body: the call's number (8 bytes), the address; fds: the guest's
                 // socket, the caller's pidfd
  listen_unix,   // likewise; number: the backlog; body: the call's number
};

struct Message {
  MessageType type{};
  std::int32_t number = 0;
  std::string body = {};
  std::vector<UniqueFd> fds = {};
  pid_t sender = 0;  // as the kernel vouches for it; set on messages that the host receives
};

constexpr std::size_t max_message_body = 4096;  // bytes
constexpr std::size_t max_message_fds = 16;

// Codec of the record's bytes (not its descriptors): one byte of type, four of number (host order), the body.
std::string encode(const Message& message);
std::optional<Message> decode(std::string_view record);

// A connected pair: the host's end, which learns who sends, and the child's end. Both close on exec.
Result<std::pair<UniqueFd, UniqueFd>> handshake_pair();

// Sends one record with its descriptors; waits for room unless the socket is non-blocking.
Result<void> send_message(int socket, const Message& message);
// The next message; nothing when the peer is gone. A malformed record is skipped; descriptors beyond this
// process's limit are missing. On a non-blocking socket
// with nothing to read the error is EAGAIN.
Result<std::optional<Message>> receive_message(int socket);

}  // namespace nsrun
