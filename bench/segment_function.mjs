// The Segment destination function that Hyperline documents, corrected so that it parses
// (as printed, it declares `event` twice), and measured as worker.py measures the others.
// https://docs.hyperline.co/integrations/segment

import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

async function onTrack(event, settings) {
  const response = await fetch(`${settings.url}/v1/events`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${settings.apiKey}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify({
      customer_id: event.userId,
      event_type: event.event,
      timestamp: event.timestamp,
      record: { id: event.messageId, ...event.properties },
    }),
  });
  // Segment sends an event again for this error alone.
  if (response.status >= 500 || response.status === 429) {
    throw new RetryError(`Failed with ${response.status}`);
  }
  await response.arrayBuffer();
}

class RetryError extends Error {}

const settings = { url: process.env.HYPERLINE_URL, apiKey: "test_local" };

async function measure({ calls: file, times }) {
  const walls = [];
  const cpus = [];
  const calls = JSON.parse(readFileSync(file, "utf8"));
  for (let number = 0; number < calls.length * times; number++) {
    const call = calls[number % calls.length];
    const event = JSON.parse(call.body);
    const cpu = process.cpuUsage();
    const wall = process.hrtime.bigint();
    await onTrack(event, settings);
    walls.push(Number(process.hrtime.bigint() - wall));
    const used = process.cpuUsage(cpu);
    cpus.push((used.user + used.system) * 1000);
  }
  const rss = process.memoryUsage().rss;
  return { wall: walls, cpu: cpus, rss, peak: process.resourceUsage().maxRSS * 1024 };
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await measure(JSON.parse(line))));
}
