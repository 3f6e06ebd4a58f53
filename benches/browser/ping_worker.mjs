// The other end of the floor: sends back what comes.
addEventListener("message", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => port.postMessage(data);
});
