// SPDX-License-Identifier: Apache-2.0
#include "../../../io/address.h"

#include <cerrno>
#include <string>

#include <gtest/gtest.h>

namespace
{

std::string Format(const skui_address &address, int *port = nullptr)
{
    char host[64] = "";

    EXPECT_EQ(skui_address_format(&address, host, sizeof(host), port), 0);
    return host;
}

std::string RoundTrip(const char *host)
{
    skui_address address;
    int port = 0;

    EXPECT_EQ(skui_address_parse(host, 8080, &address), 0) << host;
    std::string text = Format(address, &port);
    EXPECT_EQ(port, 8080);
    return text;
}

} // namespace

TEST(AddressParse, TakesNumbers)
{
    EXPECT_EQ(RoundTrip("127.0.0.1"), "127.0.0.1");
    EXPECT_EQ(RoundTrip("0.0.0.0"), "0.0.0.0");
    EXPECT_EQ(RoundTrip("::1"), "::1");
    EXPECT_EQ(RoundTrip("2001:db8::7"), "2001:db8::7");
    EXPECT_EQ(RoundTrip("fe80::1%1"), "fe80::1%1");
    EXPECT_EQ(RoundTrip("fe80::1%lo"), "fe80::1%1");
}

TEST(AddressParse, RefusesWhatIsNoNumber)
{
    skui_address address;

    for (const char *host :
         {"", "localhost", "1.2.3", "256.1.1.1", "::g", "[::1]", "fe80::1%",
          "fe80::1%nosuch", "1.2.3.4 ", "%",
          "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"}) {
        EXPECT_EQ(skui_address_parse(host, 80, &address), -EINVAL) << host;
    }
    EXPECT_EQ(skui_address_parse("127.0.0.1", -1, &address), -EINVAL);
    EXPECT_EQ(skui_address_parse("127.0.0.1", 65536, &address), -EINVAL);
}

TEST(AddressFormat, ShowsMappedAddressesAsIpv4)
{
    EXPECT_EQ(RoundTrip("::ffff:10.1.2.3"), "10.1.2.3");
}

TEST(AddressFormat, NeedsRoomAndAFamilyItKnows)
{
    skui_address address;
    char host[10];
    int port = -1;

    ASSERT_EQ(skui_address_parse("127.0.0.1", 80, &address), 0);
    EXPECT_EQ(skui_address_format(&address, host, 9, &port), -ENOSPC);
    EXPECT_EQ(port, -1);
    EXPECT_EQ(skui_address_format(&address, host, 10, &port), 0);
    EXPECT_EQ(skui_address_format(&address, nullptr, 0, nullptr), 0);
    address.storage.ss_family = AF_UNIX;
    EXPECT_EQ(skui_address_format(&address, host, 10, &port), -EAFNOSUPPORT);
}

TEST(AddressAny, IsOfEitherFamily)
{
    skui_address address;

    skui_address_any(true, 1, &address);
    EXPECT_EQ(Format(address), "0.0.0.0");
    skui_address_any(false, 1, &address);
    EXPECT_EQ(Format(address), "::");
}
