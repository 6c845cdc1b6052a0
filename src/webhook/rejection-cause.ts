/**
 * Why a webhook is lost, as far as it tells. `app`: its SdkAppid is not ours; `unsigned`: it has no Sign; `clock`: its RequestTime is too far from our clock;
 * `signature`: its Sign is of no token of ours.
 */
export const rejectionCauses = ['app', 'unsigned', 'clock', 'signature', 'too_large', 'invalid', 'unavailable'] as const;
export type RejectionCause = (typeof rejectionCauses)[number];
