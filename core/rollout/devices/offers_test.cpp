#include "core/rollout/devices/offers.hpp"

#include <gtest/gtest.h>

#include "core/rollout/testing/messages.hpp"

namespace instar::rollout {
namespace {

Terms terms(std::uint64_t sequence, std::vector<GroupPath> groups = {group("plant-7")}) {
  Terms out;
  out.product = "gateway-2";
  out.sequence = sequence;
  out.groups = std::move(groups);
  out.release = std::make_shared<const Release>();
  return out;
}

DeviceRecord device() {
  DeviceRecord out;
  out.description.product = "gateway-2";
  out.description.groups = {group("plant-7/line-a")};
  return out;
}

TEST(Offers, TheTargetIsTheNewestThatCoversAGroup) {
  Offers offers;
  offers.set(hash(1), terms(1));
  offers.set(hash(2), terms(2));
  offers.set(hash(3), terms(3, {group("plant-8")}));
  offers.assert_invariants();
  EXPECT_EQ(offers.target_of(device()), hash(2));
}

TEST(Offers, WhatHasStoppedIsNoTarget) {
  Offers offers;
  offers.set(hash(1), terms(1));
  auto stopped = terms(2);
  stopped.goes_on = false;
  offers.set(hash(2), stopped);
  EXPECT_EQ(offers.target_of(device()), hash(1));
}

TEST(Offers, ADeviceNeverGoesBackToAnOlderOne) {
  Offers offers;
  offers.set(hash(4), terms(4));
  auto record = device();
  record.description.running = wire::RevisionInfo{"gateway-2", "r5", 5, hash(5), {}};
  EXPECT_EQ(offers.target_of(record), std::nullopt);
  record.description.running->product = "another";
  EXPECT_EQ(offers.target_of(record), hash(4)) << "sequences of two products have nothing to do with each other";
}

TEST(Offers, WhatIsErasedIsNoTarget) {
  Offers offers;
  offers.set(hash(1), terms(1));
  offers.erase(hash(1));
  offers.assert_invariants();
  EXPECT_EQ(offers.target_of(device()), std::nullopt);
  EXPECT_EQ(offers.find(hash(1)), nullptr);
}

}  // namespace
}  // namespace instar::rollout
