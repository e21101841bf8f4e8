// The Segment destination function that Hyperline documents, with one correction: as
// documented, it declares `event` twice, which is a syntax error. It is measured in the
// same way as worker.py measures the other contenders.
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
  // Segment retries only after this error.
  if (response.status >= 500 || response.status === 429) {
    throw new RetryError(`Failed with ${response.status}`);
  }
  await response.arrayBuffer();
}

class RetryError extends Error {}

const settings = { url: process.env.HYPERLINE_URL, apiKey: "test_local" };

async function measure({ requests: file, times }) {
  const walls = [];
  const cpus = [];
  const requests = JSON.parse(readFileSync(file, "utf8"));
  for (let number = 0; number < requests.length * times; number++) {
    const request = requests[number % requests.length];
    const event = JSON.parse(request.body);
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
