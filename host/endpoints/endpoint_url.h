#pragma once

#include <map>
#include <string>
#include <string_view>

#include "runtime/connection.h"
#include "runtime/flow.h"
#include "runtime/result.h"

namespace nsrun {

// Where to listen, or where to dial:
//
//   tcp://HOST:PORT  udp://HOST:PORT   no HOST: all addresses, of a listener
//   tls://HOST:PORT?…                  TLS on TCP (endpoint_tls.h says which options)
//   unix:///PATH                       a stream; ?mode=0660 of a listener's file
//   unix+dgram:///PATH                 datagrams; likewise
//   vsock://CID:PORT                   CID a number, any (a listener's), host (2) or local (1); vsock(7)
//   hvsock:///PATH:PORT                hybrid vsock: a virtual machine's ports at its monitor's unix socket
//                                      (Firecracker, Cloud Hypervisor)
//   guest+tcp://HOST:PORT  guest+udp://HOST:PORT   in the sandbox; HOST is an address there, or localhost
struct EndpointUrl {
  enum class Kind : std::uint8_t {
    tcp,
    udp,
    tls,
    unix_stream,
    unix_datagram,
    vsock,
    hybrid_vsock,
    guest_tcp,
    guest_udp
  };
  static constexpr std::uint32_t any_cid = 0xffff'ffff;  // VMADDR_CID_ANY

  Kind kind = Kind::tcp;
  std::string host;        // canonical name, or an address; empty: all
  std::uint32_t port = 0;  // 0: any that is free, of a listener
  std::uint32_t cid = any_cid;
  std::string path;
  std::map<std::string, std::string> options;  // of the query, decoded
  std::string text;                            // as it was written

  static bool is_scheme(std::string_view scheme);
  static std::string forms();  // of all kinds, for the user
  // Errors have ExitCode::usage and say the form that the kind has.
  static Result<EndpointUrl> parse(std::string_view text);

  Transport transport() const;
  Protocol protocol() const { return transport() == Transport::stream ? Protocol::tcp : Protocol::udp; }
  bool is_ip() const { return kind <= Kind::tls; }
  bool is_guest() const { return kind >= Kind::guest_tcp; }
  // What dials it, where that takes a name or an address; of other kinds the text is the name.
  Target target() const;
  std::string to_string() const;  // without options: "vsock://2:1080"
};

}  // namespace nsrun
